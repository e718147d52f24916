import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import type {
  OperationRecord,
  OperationStore,
  Report,
  StoredResult,
} from "../store/operation-store.js";
import { workFailed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import { storedError } from "./stored-result.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** What terminal writes stand on. */
export interface TerminalWriteParts {
  store: OperationStore;
  writeAndPublish: WriteAndPublish;
  clock: Clock;
  log: (event: OperationsEvent) => void;
}

/**
 * The one terminal write of an attempt that ran for `runMs` milliseconds, tried again
 * while the store is away. False where the claim no longer holds.
 */
export type TerminalWrite = (
  record: OperationRecord,
  result: StoredResult,
  report?: Report,
  runMs?: number,
) => Promise<boolean>;

/** How often a write is tried while the store fails, and how long after each other. */
const retryDelaysMs = [100, 200, 400, 800, 1600, 3200, 6400, 12_800];

/** Codes of a store's errors that may pass by themselves; UNKNOWN is what a plain Error counts as. */
const passingCodes: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  // A full disk: no bound of a store refuses an end.
  Code.ResourceExhausted,
]);

/** @param closed Aborts when nothing is to be tried again, because the store is closed. */
export function createTerminalWrite(
  { store, writeAndPublish, clock, log }: TerminalWriteParts,
  closed: AbortSignal,
): TerminalWrite {
  /** A result that the store will not take must not run the work once more. */
  const finishWithout = async (record: OperationRecord, cause: unknown): Promise<boolean> => {
    const { name, method, attempt } = record;
    log({ kind: "work-failed", name, method, attempt, cause });
    const done = await writeAndPublish(
      (transaction) => store.finish(record, storedError(workFailed()), undefined, { transaction }),
      () => "done",
      { found: record },
    );
    return done !== undefined;
  };

  return async (record, result, report, runMs) => {
    for (let tried = 0; ; tried += 1) {
      try {
        const done = await writeAndPublish(
          (transaction) => store.finish(record, result, report, { transaction }),
          () => "done",
          { found: record, runMs },
        );
        return done !== undefined;
      } catch (cause) {
        log({ kind: "store-failed", action: `finish ${record.name}`, cause });
        const delayMs = retryDelaysMs[tried];
        const { code } = ConnectError.from(cause);
        if (closed.aborted || delayMs === undefined) throw cause;
        if (!passingCodes.has(code)) return finishWithout(record, cause);
        await sleep(clock, delayMs, closed);
      }
    }
  };
}
