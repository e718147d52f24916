import type { Clock } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type { ListCursor, OperationRecord, OperationStore } from "../store/operation-store.js";
import { dispatchedOperation } from "./dispatched-operation.js";
import type { OperationsEvent } from "./events.js";

/** What a recovery stands on. */
export interface RecoveryParts {
  store: OperationStore;
  dispatcher: Dispatcher;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  /** Hears of each operation that was dispatched: it may have a deadline. */
  watch: (record: OperationRecord) => void;
}

/** How many operations are recovered at a time, and when a store that failed is tried again. */
const recoveryPageSize = 1000;
const recoveryRetryDelayMs = 1000;

/**
 * Dispatch what the store has unfinished, where the queue has forgotten it. Starts
 * wait for this, so that nothing is dispatched twice. Never rejects; `signal` ends it.
 */
export async function recoverOperations(
  { store, dispatcher, clock, log, watch }: RecoveryParts,
  signal: AbortSignal,
): Promise<void> {
  if (dispatcher.isDurable) return;
  let after: ListCursor | undefined;
  let isAtEnd = false;
  while (!isAtEnd && !signal.aborted) {
    try {
      const page = await store.unfinished({ after, limit: recoveryPageSize });
      for (const record of page.records) {
        if (signal.aborted) return;
        await dispatcher.dispatch([dispatchedOperation(record)]);
        watch(record);
        // One by one, so that nothing is dispatched again where a later one fails.
        after = record;
      }
      isAtEnd = page.next === undefined;
      after = page.next;
    } catch (cause) {
      log({ kind: "store-failed", action: "recover", cause });
      await sleep(clock, recoveryRetryDelayMs, signal).catch(() => undefined);
    }
  }
}
