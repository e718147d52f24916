import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../internal/clock.js";
import { LazyAbortController } from "../internal/lazy-abort-controller.js";
import { notifySafely } from "../internal/notify-safely.js";
import { isSameBytes } from "../internal/same-bytes.js";
import { sleep } from "../internal/sleep.js";
import { StatusSchema } from "../protos.js";
import type { DispatchedOperation, Dispatcher } from "../store/dispatcher.js";
import type {
  OperationRecord,
  OperationStore,
  Report,
  StoredResult,
  Transaction,
} from "../store/operation-store.js";
import type { SignalKind, Signals } from "../store/signals.js";
import { workFailed } from "./errors.js";
import type { OperationsEvent } from "./events.js";
import type { OperationsObserver } from "./observer.js";
import { storedError } from "./stored-result.js";

/** Dependencies of the operation writer. */
export interface OperationWriterDeps {
  store: OperationStore;
  dispatcher: Dispatcher;
  signals: Signals;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  observer: OperationsObserver | undefined;
  /** Called with each record that was written: it may have a deadline. */
  scheduleDeadline: (record: OperationRecord) => void;
}

/** Options of `OperationWriter.write`. */
export interface WriteOptions {
  /**
   * The operation as it was read, if `write` is one statement. An operation without a resource
   * has no successor to unblock, so its write needs no transaction. Absent: `write` runs in a
   * transaction.
   */
  found?: Pick<OperationRecord, "resourceKey"> | undefined;
  /** How long the attempt ran that ends the operation, in milliseconds. */
  runMs?: number | undefined;
}

/**
 * Writes records and publishes their signals. The signal is published in the write's transaction
 * if there is one, otherwise after the write; a signal that fails does not undo the write. When an
 * operation ends, the next operation that waits for its resource is queued in the same transaction.
 */
export interface OperationWriter {
  /**
   * Writes one record and publishes the signal that `kindOf` returns. Publishes nothing if
   * `kindOf` or `write` returns undefined.
   */
  write(
    write: (transaction: Transaction | undefined) => Promise<OperationRecord | undefined>,
    kindOf: (record: OperationRecord) => SignalKind | undefined,
    options?: WriteOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Makes the terminal write of an attempt that ran for `runMs` milliseconds. Repeats it while
   * the store fails with transient errors. Resolves with false if the claim no longer holds.
   */
  finish(
    record: OperationRecord,
    result: StoredResult,
    report?: Report,
    runMs?: number,
  ): Promise<boolean>;
  /** Runs a write that ends operations, and publishes their ends. */
  endMany<T extends { readonly ended: readonly OperationRecord[] }>(
    write: (transaction: Transaction | undefined) => Promise<T>,
  ): Promise<T>;
  /** Publishes the ends of operations that were ended in a transaction that is still open. */
  publishEnds(
    ended: readonly OperationRecord[],
    transaction: Transaction | undefined,
  ): Promise<void>;
  /** Calls the observer with ends that are committed. */
  observeEnds(ended: readonly OperationRecord[]): void;
  /** Stops dispatching, and stops repeating terminal writes: the store is closed. */
  close(): void;
}

/** The pause before an unblocked operation is dispatched again, if the queue refused it. */
const dispatchRetryDelayMs = 1000;

/** The pauses between the tries of a terminal write, in milliseconds. */
const finishRetryDelaysMs = [100, 200, 400, 800, 1600, 3200, 6400, 12_800];

/** The transient codes of a store's errors. A plain Error counts as UNKNOWN. */
const transientCodes: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  // ResourceExhausted can mean that the disk is full. No limit of a store refuses to end an
  // operation.
  Code.ResourceExhausted,
]);

export function createOperationWriter(deps: OperationWriterDeps): OperationWriter {
  const { store, dispatcher, signals, clock, log, observer, scheduleDeadline } = deps;
  const closed = new LazyAbortController();
  const retries = new Set<() => void>();

  /** Runs a side effect of a write. Without a transaction its failure is only logged. */
  const runSideEffect = async (
    action: string,
    transaction: Transaction | undefined,
    call: () => Promise<void>,
  ) => {
    try {
      await call();
    } catch (cause) {
      if (transaction !== undefined) throw cause;
      log({ kind: "store-failed", action, cause });
    }
  };

  const dispatch = async (record: OperationRecord, transaction: Transaction | undefined) => {
    try {
      await dispatcher.dispatch([dispatchedOperation(record)], { transaction });
    } catch (cause) {
      if (transaction !== undefined && dispatcher.isDurable) throw cause;
      // A full queue of this process must not undo the end of the previous operation.
      log({ kind: "store-failed", action: `dispatch ${record.name}`, cause });
      const unschedule = clock.schedule(dispatchRetryDelayMs, () => {
        retries.delete(unschedule);
        void dispatch(record, undefined);
      });
      retries.add(unschedule);
    }
  };

  const publish = async (
    record: OperationRecord,
    kind: SignalKind,
    transaction: Transaction | undefined,
  ) => {
    const { name, resourceKey } = record;
    await runSideEffect(`publish ${name}`, transaction, () =>
      signals.publish(name, kind, { transaction }),
    );
    if (resourceKey === undefined || !isOver(record)) return;
    await runSideEffect(`unblock ${resourceKey}`, transaction, async () => {
      const next = await store.unblock(resourceKey, { transaction });
      if (next !== undefined) await dispatch(next, transaction);
    });
  };

  const publishEnds = async (
    ended: readonly OperationRecord[],
    transaction: Transaction | undefined,
  ) => {
    for (const record of ended) await publish(record, "done", transaction);
  };

  const observeEnd = (record: OperationRecord, runMs?: number) => {
    const { name, method, createTimeMicros, endTimeMicros = createTimeMicros, result } = record;
    if (observer?.ended === undefined || result === undefined) return;
    const code = result.kind === "response" ? 0 : fromBinary(StatusSchema, result.value).code;
    const totalMs = (endTimeMicros - createTimeMicros) / 1000;
    notifySafely(observer, (to) => to.ended?.({ name, method, code, runMs, totalMs }));
  };

  const write: OperationWriter["write"] = async (writeRecord, kindOf, { found, runMs } = {}) => {
    const writeAndPublish = async (transaction: Transaction | undefined) => {
      const record = await writeRecord(transaction);
      if (record === undefined) return undefined;
      const kind = kindOf(record);
      if (kind !== undefined) await publish(record, kind, transaction);
      return { record, kind };
    };
    const isAlone = found !== undefined && found.resourceKey === undefined;
    const written = isAlone
      ? await writeAndPublish(undefined)
      : await store.transaction(writeAndPublish);
    if (written === undefined) return undefined;
    scheduleDeadline(written.record);
    if (written.kind === "done") observeEnd(written.record, runMs);
    return written.record;
  };

  const finishOnce = async (
    record: OperationRecord,
    result: StoredResult,
    report?: Report,
    runMs?: number,
  ): Promise<boolean> => {
    const done = await write(
      (transaction) => store.finish(record, result, report, { transaction }),
      () => "done",
      { found: record, runMs },
    );
    return done !== undefined;
  };

  /**
   * Publishes the end of an operation if an earlier try of this attempt has written it: the store
   * committed, and its answer was lost. Resolves with false if the operation has another end.
   */
  const publishUnanswered = async (
    { name, attempt }: OperationRecord,
    result: StoredResult,
    runMs: number | undefined,
  ): Promise<boolean> => {
    const found = await store.get(name);
    const isOwn =
      found?.result !== undefined &&
      found.attempt === attempt &&
      found.result.kind === result.kind &&
      isSameBytes(found.result.value, result.value);
    if (!isOwn) return false;
    await store.transaction((transaction) => publishEnds([found], transaction));
    scheduleDeadline(found);
    observeEnd(found, runMs);
    return true;
  };

  return {
    write,
    async finish(record, result, report, runMs) {
      for (let tried = 0; ; tried += 1) {
        try {
          if (await finishOnce(record, result, report, runMs)) return true;
          return tried > 0 && (await publishUnanswered(record, result, runMs));
        } catch (cause) {
          const { name, method, attempt } = record;
          log({ kind: "store-failed", action: `finish ${name}`, cause });
          const delayMs = finishRetryDelaysMs[tried];
          if (closed.aborted || delayMs === undefined) throw cause;
          if (!transientCodes.has(ConnectError.from(cause).code)) {
            // If the store permanently refuses a result, the work must not run again.
            log({ kind: "work-failed", name, method, attempt, cause });
            return finishOnce(record, storedError(workFailed()));
          }
          await sleep(clock, delayMs, closed.signal);
        }
      }
    },
    async endMany(writeEnds) {
      const written = await store.transaction(async (transaction) => {
        const written = await writeEnds(transaction);
        await publishEnds(written.ended, transaction);
        return written;
      });
      for (const record of written.ended) observeEnd(record);
      return written;
    },
    publishEnds,
    observeEnds(ended) {
      for (const record of ended) observeEnd(record);
    },
    close() {
      closed.abort();
      for (const unschedule of retries) unschedule();
      retries.clear();
    },
  };
}

/** Returns a record as a dispatcher takes it. Its tenant is its principal, or else its parent. */
export function dispatchedOperation(record: OperationRecord): DispatchedOperation {
  const { name, method, principal, parent, attempt } = record;
  return { name, method, tenant: principal === "" ? parent : principal, attempt };
}

/** Whether nothing more happens to an operation. A deleted external operation cannot be ended. */
function isOver({ state, external, deleteTimeMicros }: OperationRecord): boolean {
  return state === "done" || (external && deleteTimeMicros !== undefined);
}
