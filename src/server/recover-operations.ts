import type { Clock } from "../internal/clock.js";
import type { LazyAbortController } from "../internal/lazy-abort-controller.js";
import { sleep } from "../internal/sleep.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type { ListCursor, OperationRecord, OperationStore } from "../store/operation-store.js";
import type { OperationsEvent } from "./events.js";
import { dispatchedOperation } from "./operation-writer.js";

/** Dependencies of a recovery. */
export interface RecoveryDeps {
  store: OperationStore;
  dispatcher: Dispatcher;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  /** Called with each operation that was dispatched: it may have a deadline. */
  scheduleDeadline: (record: OperationRecord) => void;
}

/** How many operations one read recovers, and the pause after the store has failed. */
const recoveryPageSize = 1000;
const recoveryRetryDelayMs = 1000;

/**
 * Dispatches the unfinished operations of the store, if the queue does not survive a restart.
 * Starts wait for this, so that no operation is dispatched twice. `stop` ends it. Rejects only at
 * the module level of a Worker, because the platform refuses the store's calls there.
 */
export async function recoverOperations(
  { store, dispatcher, clock, log, scheduleDeadline }: RecoveryDeps,
  stop: Pick<LazyAbortController, "aborted" | "signal">,
): Promise<void> {
  if (dispatcher.isDurable) return;
  let after: ListCursor | undefined;
  let isAtEnd = false;
  while (!isAtEnd && !stop.aborted) {
    try {
      const page = await store.unfinished({ after, limit: recoveryPageSize });
      for (const record of page.records) {
        if (stop.aborted) return;
        await dispatcher.dispatch([dispatchedOperation(record)]);
        scheduleDeadline(record);
        // The position moves with each record, so no record is dispatched twice if a later one
        // fails.
        after = record;
      }
      isAtEnd = page.next === undefined;
      after = page.next;
    } catch (cause) {
      // At the module level of a Worker, `stop.signal` throws. The store has failed for the same
      // reason there, so the failure need not be logged.
      const { signal } = stop;
      log({ kind: "store-failed", action: "recover", cause });
      await sleep(clock, recoveryRetryDelayMs, signal).catch(() => undefined);
    }
  }
}

/**
 * Dispatches queued operations again that no attempt has begun, a page of the store each time, if the
 * dispatcher asks for it. `stop` ends it.
 */
export async function redispatchOperations(
  { store, dispatcher, clock, log }: RecoveryDeps,
  stop: Pick<LazyAbortController, "aborted" | "signal">,
): Promise<void> {
  const { redispatchMs } = dispatcher;
  if (redispatchMs === undefined) return;
  const { signal } = stop;
  let after: ListCursor | undefined;
  while (!stop.aborted) {
    await sleep(clock, redispatchMs, signal).catch(() => undefined);
    if (stop.aborted) return;
    try {
      const page = await store.unfinished({ after, limit: recoveryPageSize });
      const waiting = page.records.filter(isNotBegun);
      if (waiting.length > 0) await dispatcher.dispatch(waiting.map(dispatchedOperation));
      after = page.next;
    } catch (cause) {
      log({ kind: "store-failed", action: "redispatch", cause });
    }
  }
}

function isNotBegun({ state, attempt, external }: OperationRecord): boolean {
  return state === "queued" && attempt === 0 && !external;
}
