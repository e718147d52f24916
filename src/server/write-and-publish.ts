import { fromBinary } from "@bufbuild/protobuf";
import type { Clock } from "../internal/clock.js";
import { tell } from "../internal/tell.js";
import { StatusSchema } from "../protos.js";
import type { Dispatcher } from "../store/dispatcher.js";
import type { OperationRecord, OperationStore, Transaction } from "../store/operation-store.js";
import type { SignalKind, Signals } from "../store/signals.js";
import { dispatchedOperation } from "./dispatched-operation.js";
import type { OperationsEvent } from "./events.js";
import type { OperationsObserver } from "./observer.js";

/** What writes stand on. */
export interface PublisherParts {
  store: OperationStore;
  dispatcher: Dispatcher;
  signals: Signals;
  clock: Clock;
  log: (event: OperationsEvent) => void;
  observer: OperationsObserver | undefined;
  /** Hears of each record that was written: it may have a deadline. */
  watch: (record: OperationRecord) => void;
}

/**
 * Write one record and tell of it: of what `kindOf` says, or of nothing where that or
 * the write gave undefined. `write` is a single write, or `options.found` is absent.
 */
export type WriteAndPublish = (
  write: (transaction: Transaction | undefined) => Promise<OperationRecord | undefined>,
  kindOf: (record: OperationRecord) => SignalKind | undefined,
  options?: WriteOptions,
) => Promise<OperationRecord | undefined>;

/** What is known of a write. */
export interface WriteOptions {
  /**
   * The operation as it was read. Without a resource nothing belongs to its write but a hint, so
   * that the write takes no transaction. Absent: it may have one.
   */
  found?: Pick<OperationRecord, "resourceKey"> | undefined;
  /** How long the attempt ran that ends the operation, in milliseconds. */
  runMs?: number | undefined;
}

/** Writes to a store and tells of it. */
export interface Publisher {
  readonly writeAndPublish: WriteAndPublish;
  /** The same for a write that ends operations. */
  endAndPublish<T extends { readonly ended: readonly OperationRecord[] }>(
    write: (transaction: Transaction | undefined) => Promise<T>,
  ): Promise<T>;
  /** Tell of operations that were ended in a transaction that is still open. */
  tellOfEnds(
    ended: readonly OperationRecord[],
    transaction: Transaction | undefined,
  ): Promise<void>;
  /** Have the observer hear of them, once that has been committed. */
  observeEnds(ended: readonly OperationRecord[]): void;
  /** Dispatch nothing any more. */
  close(): void;
}

/** How long an operation waits that is not blocked any more and that the queue would not take. */
const dispatchRetryDelayMs = 1000;

/**
 * What is written is told of: in the same transaction, where there is one, or
 * else after the write, which stands whatever becomes of the signal. With the end of an
 * operation goes, in the same transaction, the next one that waits for its resource.
 */
export function createPublisher(parts: PublisherParts): Publisher {
  const { store, dispatcher, signals, clock, log, observer, watch } = parts;
  const retries = new Set<() => void>();

  /** Do what belongs to a write; without a transaction the write stands, and a failure is logged. */
  const follow = async (
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
      // A queue of this process that is full must not undo the end of the one before.
      log({ kind: "store-failed", action: `dispatch ${record.name}`, cause });
      const unschedule = clock.schedule(dispatchRetryDelayMs, () => {
        retries.delete(unschedule);
        void dispatch(record, undefined);
      });
      retries.add(unschedule);
    }
  };

  const unblockNext = (resourceKey: string, transaction: Transaction | undefined) =>
    follow(`unblock ${resourceKey}`, transaction, async () => {
      const next = await store.unblock(resourceKey, { transaction });
      if (next !== undefined) await dispatch(next, transaction);
    });

  const publish = async (
    record: OperationRecord,
    kind: SignalKind,
    transaction: Transaction | undefined,
  ) => {
    const { name, resourceKey } = record;
    await follow(`publish ${name}`, transaction, () =>
      signals.publish(name, kind, { transaction }),
    );
    if (resourceKey !== undefined && isOver(record)) await unblockNext(resourceKey, transaction);
  };

  const observeEnd = (record: OperationRecord, runMs?: number) => {
    const { name, method, createTimeMicros, endTimeMicros = createTimeMicros, result } = record;
    if (observer?.ended === undefined || result === undefined) return;
    const code = result.kind === "response" ? 0 : fromBinary(StatusSchema, result.value).code;
    const totalMs = (endTimeMicros - createTimeMicros) / 1000;
    tell(observer, (to) => to.ended?.({ name, method, code, runMs, totalMs }));
  };

  const observeEnds = (ended: readonly OperationRecord[]) => {
    for (const record of ended) observeEnd(record);
  };

  const tellOfEnds = async (
    ended: readonly OperationRecord[],
    transaction: Transaction | undefined,
  ) => {
    for (const record of ended) await publish(record, "done", transaction);
  };

  return {
    async writeAndPublish(write, kindOf, { found, runMs } = {}) {
      const writeAndTell = async (transaction: Transaction | undefined) => {
        const record = await write(transaction);
        if (record === undefined) return undefined;
        const kind = kindOf(record);
        if (kind !== undefined) await publish(record, kind, transaction);
        return { record, kind };
      };
      const isAlone = found !== undefined && found.resourceKey === undefined;
      const written = isAlone
        ? await writeAndTell(undefined)
        : await store.transaction(writeAndTell);
      if (written === undefined) return undefined;
      watch(written.record);
      if (written.kind === "done") observeEnd(written.record, runMs);
      return written.record;
    },
    async endAndPublish(write) {
      const written = await store.transaction(async (transaction) => {
        const written = await write(transaction);
        await tellOfEnds(written.ended, transaction);
        return written;
      });
      observeEnds(written.ended);
      return written;
    },
    tellOfEnds,
    observeEnds,
    close() {
      for (const unschedule of retries) unschedule();
      retries.clear();
    },
  };
}

/** Whether nothing is done for an operation any more: one that was deleted cannot be driven from outside. */
function isOver({ state, external, deleteTimeMicros }: OperationRecord): boolean {
  return state === "done" || (external && deleteTimeMicros !== undefined);
}
