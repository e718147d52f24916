import type {
  InsertOutcome,
  NewOperation,
  OperationRecord,
  Transaction,
} from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { createBatcher } from "./batcher.js";
import { mayBeOfOne } from "./database-error.js";
import { type InsertParts, type OperationInserts, requestKey } from "./insert-operation.js";
import { createParameters, interval, statementTime } from "./statement.js";

/** What goes with a new operation, in the transaction of its insert. */
export type Together = (record: OperationRecord, transaction: Transaction) => Promise<void>;

/** Inserts operations that depend on no other, together with others that come at the same time. */
export type GroupedInsert = (operation: NewOperation, together: Together) => Promise<InsertOutcome>;

interface Member {
  readonly operation: NewOperation;
  readonly together: Together;
  readonly requestKey: Uint8Array | undefined;
}

/** An operation of more bytes goes alone: together they would be more than a statement can have. */
const maxSharedBytes = 64 * 1024;

/**
 * How long a group waits for a row that another transaction has not committed yet, in
 * milliseconds. Then each member goes alone, so that one waits and not all.
 */
const lockTimeoutMs = 100;

/**
 * One transaction for a group, with one statement for all of its rows. Whoever meets an
 * earlier name or request id goes alone afterwards, and all of them do where one has made the
 * group fail.
 */
export function createGroupedInsert(parts: InsertParts, inserts: OperationInserts): GroupedInsert {
  const { database } = parts;

  const insertAlone = ({ operation, together }: Member): Promise<InsertOutcome> =>
    database.transaction(async (transaction) => {
      const outcome = await inserts.insert(operation, { transaction });
      if (outcome.kind === "inserted") await together(outcome.record, transaction);
      return outcome;
    });

  /** The new records; undefined for each member that has to go alone. */
  const insertGroup = async (
    members: readonly Member[],
  ): Promise<readonly (OperationRecord | undefined)[]> => {
    // A second one of the same name goes alone, to be told that it is taken.
    const first = new Map(members.toReversed().map((member) => [member.operation.name, member]));
    if (first.size === 1) return members.map(() => undefined);
    try {
      const records = await database.transaction(
        async (transaction) => {
          const written = await writeRows(parts, [...first.values()], transaction);
          const outcomes = await Promise.allSettled(
            written.map((record) => first.get(record.name)?.together(record, transaction)),
          );
          const failed = outcomes.find((outcome) => outcome.status === "rejected");
          if (failed !== undefined) throw failed.reason;
          return new Map(written.map((record) => [record.name, record]));
        },
        { lockTimeoutMs },
      );
      return members.map((member) => {
        const { name } = member.operation;
        return first.get(name) === member ? records.get(name) : undefined;
      });
    } catch (cause) {
      // A commit that was not answered may stand; one that was refused does not.
      if (!mayBeOfOne(cause)) throw cause;
      return members.map(() => undefined);
    }
  };

  const groups = createBatcher({ run: insertGroup });

  return async (operation, together) => {
    const { requestId } = operation;
    const member = {
      operation,
      together,
      requestKey: requestId && (await requestKey(requestId)),
    };
    const bytes = operation.request.length + (operation.metadata?.length ?? 0);
    const record = bytes > maxSharedBytes ? undefined : await groups.add(member);
    return record === undefined ? insertAlone(member) : { kind: "inserted", record, preempted: [] };
  };
}

/** The records of the members whose row did not meet another. */
async function writeRows(
  { database, table, columns }: InsertParts,
  members: readonly Member[],
  transaction: Transaction,
): Promise<OperationRecord[]> {
  const { add, values } = createParameters();
  const each = (type: string, read: (member: Member) => unknown) =>
    `${add(members.map((member) => read(member) ?? null))}::${type}[]`;
  const text = (read: (member: Member) => string | undefined) =>
    each("text", (member) => {
      const value = read(member);
      return value === undefined ? undefined : escapeNul(value);
    });
  const arrays = [
    text(({ operation }) => operation.name),
    text(({ operation }) => operation.parent),
    text(({ operation }) => operation.method),
    text(({ operation }) => operation.principal),
    each("bytea", ({ operation }) => operation.request),
    each("bytea", ({ operation }) => operation.metadata),
    each("float8", ({ operation }) => operation.retentionMs),
    each("float8", ({ operation }) => operation.deadlineMs),
    text(({ operation }) => operation.requestId?.scope),
    text(({ operation }) => operation.requestId?.id),
    each("bytea", (member) => member.requestKey),
    each("bytea", ({ operation }) => operation.requestId?.fingerprint),
    each("float8", ({ operation }) => operation.requestId?.windowMs),
  ];
  const given = `name, parent, method, principal, request, metadata, retention_ms, deadline_ms,
    request_scope, request_id, request_key, request_fingerprint, request_window_ms`;
  // By the key, as two groups that lock the same ones in another order would wait for each other.
  const rows = await database.rows(
    `insert into ${table} as o (${given}, external, state, create_time, update_time,
      deadline_time, request_window_end_time)
    select ${given}, false, 'queued', t.now, t.now,
      t.now + ${interval("deadline_ms")}, t.now + ${interval("request_window_ms")}
    from unnest(${arrays.join(", ")}) as given (${given}), ${statementTime}
    order by request_key, name
    on conflict do nothing returning ${columns}`,
    values,
    { transaction },
  );
  return rows.map(recordFromRow);
}
