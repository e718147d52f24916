import { fullName, type LongRunningMethod } from "../operation/long-running.js";

/** The long-running methods that a server has met: those it serves, and those used with it. */
export interface KnownMethods {
  /** Remember a method; of two with one name the first stands. */
  add(method: LongRunningMethod): void;
  all(): readonly LongRunningMethod[];
}

export function createKnownMethods(): KnownMethods {
  const methods = new Map<string, LongRunningMethod>();
  return {
    add(method) {
      const name = fullName(method.method);
      if (!methods.has(name)) methods.set(name, method);
    },
    all: () => [...methods.values()],
  };
}
