import { buildSubjects } from "./built-subjects.js";
import { type Child, startChild } from "./child.js";

/** A process that keeps operations in a memory store, and how to be rid of it. */
export interface StoreChild {
  readonly child: Child;
  close(): Promise<void>;
}

/** Start one, built, as the store's own memory is what is measured. */
export async function startStore(): Promise<StoreChild> {
  const built = await buildSubjects(["stored-operations"]);
  const child = await startChild(built.url("stored-operations"));
  return {
    child,
    async close() {
      await child.stop();
      await built.remove();
    },
  };
}
