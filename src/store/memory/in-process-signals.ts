import type { SignalKind, Signals } from "../signals.js";
import { afterCommit } from "./after-commit.js";

/** Signals within this process. None is ever lost. */
export function createInProcessSignals(): Signals {
  const listenersByName = new Map<string, Set<(kind: SignalKind) => void>>();
  return {
    pollIntervalMs: undefined,
    async subscribe(name, listener) {
      const listeners = listenersByName.get(name) ?? new Set();
      listenersByName.set(name, listeners);
      // A function of its own, so that one listener can be subscribed twice.
      const own = (kind: SignalKind) => listener(kind);
      listeners.add(own);
      return () => {
        listeners.delete(own);
        if (listeners.size === 0 && listenersByName.get(name) === listeners) {
          listenersByName.delete(name);
        }
      };
    },
    async publish(name, kind, options) {
      afterCommit(options, "in-process signals", () => {
        for (const listener of [...(listenersByName.get(name) ?? [])]) listener(kind);
      });
    },
    async close() {
      listenersByName.clear();
    },
  };
}
