import fc from "fast-check";
import { maxLostAttempts, operationsCommands } from "./commands.js";
import type { OperationsModel } from "./operations-model.js";
import { createRealServer, type Subject } from "./real-server.js";

/** How much of it to run. */
export interface ModelRuns {
  /** How many random orders of commands. */
  readonly numRuns: number;
  /** How long each is at most. */
  readonly maxCommands: number;
  /** A seed to run again, as a failure prints it. Default: a new one. */
  readonly seed?: number | undefined;
}

/**
 * Run random orders of starts, reports, ends, cancellations, deletions, waits and lists
 * against a server and a plain model of it, and compare the two after each command.
 */
export async function checkModel(
  createSubject: () => Promise<Subject>,
  canRedeliver: boolean,
  { numRuns, maxCommands, seed }: ModelRuns,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(operationsCommands(canRedeliver, maxCommands), async (commands) => {
      const real = createRealServer(await createSubject(), maxLostAttempts);
      const model: OperationsModel = { operations: [], waiters: [], walk: undefined };
      try {
        await fc.asyncModelRun(() => ({ model, real }), commands);
      } finally {
        await real.close();
      }
    }),
    { numRuns, ...(seed !== undefined && { seed }) },
  );
}
