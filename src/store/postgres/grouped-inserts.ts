import type {
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationStore,
  Together,
  Transaction,
} from "../operation-store.js";
import { createBatcher } from "./batcher.js";
import type { Database } from "./database.js";
import { isRowLevelError } from "./database-error.js";
import { type NewRow, type OperationInserts, requestKey } from "./insert-operation.js";

interface Member extends NewRow {
  readonly together: Together;
}

/** A longer operation gets a transaction of its own, because statements have a limit of bytes. */
const maxBatchedBytes = 64 * 1024;

/**
 * How long a batch waits for a row that another transaction has not committed, in
 * milliseconds. Then each member gets a transaction of its own, so that only one waits.
 */
const lockTimeoutMs = 100;

/**
 * Returns an `insertTogether` that batches the operations of the same moment into one
 * transaction, with one statement for all rows. A member whose name or request id exists
 * already is inserted again separately, and so is each member of a batch that failed.
 */
export function createGroupedInsert(
  database: Database,
  inserts: OperationInserts,
): NonNullable<OperationStore["insertTogether"]> {
  const insertSeparately = ({ operation, together }: Member): Promise<InsertOutcome> =>
    database.transaction(async (transaction) => {
      const outcome = await inserts.insert(operation, { transaction });
      if (outcome.kind === "inserted") await together([outcome.record], transaction);
      return outcome;
    });

  const insertMembers = async (
    members: ReadonlyMap<string, Member>,
    transaction: Transaction,
  ): Promise<ReadonlyMap<string, OperationRecord>> => {
    const written = await inserts.write([...members.values()], { transaction });
    const recordsOf = new Map<Together, OperationRecord[]>();
    for (const record of written) {
      const together = members.get(record.name)?.together;
      if (together === undefined) continue;
      const records = recordsOf.get(together) ?? [];
      recordsOf.set(together, records);
      records.push(record);
    }
    for (const [together, records] of recordsOf) await together(records, transaction);
    return new Map(written.map((record) => [record.name, record]));
  };

  /** Resolves with the new records; undefined for each member that has to be inserted separately. */
  const insertBatch = async (
    members: readonly Member[],
  ): Promise<readonly (OperationRecord | undefined)[]> => {
    // The second operation with the same name is inserted separately, and that insertion reports
    // that the name is taken.
    const first = new Map(members.toReversed().map((member) => [member.operation.name, member]));
    if (first.size === 1) return members.map(() => undefined);
    try {
      const records = await database.transaction(
        (transaction) => insertMembers(first, transaction),
        { lockTimeoutMs },
      );
      return members.map((member) => {
        const { name } = member.operation;
        return first.get(name) === member ? records.get(name) : undefined;
      });
    } catch (cause) {
      // A commit may have succeeded although its response was lost.
      if (!isRowLevelError(cause)) throw cause;
      return members.map(() => undefined);
    }
  };

  const batches = createBatcher({ run: insertBatch });

  return async (operation: NewOperation, together) => {
    const { requestId } = operation;
    const member: Member = {
      operation,
      state: "queued",
      together,
      requestKey: requestId && (await requestKey(requestId)),
    };
    const bytes = operation.request.length + (operation.metadata?.length ?? 0);
    const record = bytes > maxBatchedBytes ? undefined : await batches.add(member);
    return record === undefined
      ? insertSeparately(member)
      : { kind: "inserted", record, preempted: [] };
  };
}
