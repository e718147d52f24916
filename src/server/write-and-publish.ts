import type { OperationRecord, OperationStore, Transaction } from "../store/operation-store.js";
import type { SignalKind, Signals } from "../store/signals.js";
import type { OperationsEvent } from "./events.js";

/** Writes to a store and tells of it. */
export type WriteAndPublish = (
  write: (transaction: Transaction | undefined) => Promise<OperationRecord | undefined>,
  kindOf: (record: OperationRecord) => SignalKind,
) => Promise<OperationRecord | undefined>;

/**
 * What is written is told of: in the same transaction, where the store has one, or
 * else after the write, which stands whatever becomes of the signal. Nothing is told
 * of a write that gave undefined.
 */
export function createWriteAndPublish(
  store: OperationStore,
  signals: Signals,
  log: (event: OperationsEvent) => void,
): WriteAndPublish {
  return async (write, kindOf) => {
    let isTold = false;
    const record = await store.transaction(async (transaction) => {
      const written = await write(transaction);
      if (written !== undefined && transaction !== undefined) {
        await signals.publish(written.name, kindOf(written), { transaction });
        isTold = true;
      }
      return written;
    });
    if (record !== undefined && !isTold) {
      try {
        await signals.publish(record.name, kindOf(record));
      } catch (cause) {
        log({ kind: "store-failed", action: `publish ${record.name}`, cause });
      }
    }
    return record;
  };
}
