import type { Claim, OperationRecord, StoredRequestId } from "../operation-store.js";
import {
  type EarlierStart,
  isHeldBy,
  isVisible,
  type RecordChanges,
} from "../record-transitions.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { booleanOf, numberOf, optionalTimeOf, type Row, textOf } from "../sql/row.js";
import { later, type StoreTime } from "../store-time.js";
import { insertStatement, insertValues, operationColumns, updateOf } from "./operation-row.js";
import type { SqliteDatabase } from "./sqlite-database.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** The rows of operations. All methods are synchronous, and throw the errors of the driver. */
export interface OperationTable {
  /** Returns a record in any state, except removed ones. */
  find(name: string): OperationRecord | undefined;
  findVisible(name: string): OperationRecord | undefined;
  /** Whether a record has the name, or one had it whose request id is still remembered. */
  isTaken(name: string): boolean;
  /** The record that a claim may write to. */
  findClaimed(claim: Claim): OperationRecord | undefined;
  findStarted(requestId: StoredRequestId): EarlierStart | undefined;
  /**
   * Returns the operations of a resource that are not done, oldest first, except hidden ones with
   * external work, because no program can end them.
   */
  openOfResource(resourceKey: string, limit?: number): OperationRecord[];
  overdue(limit: number): OperationRecord[];
  nextDeadlineMicros(): number | undefined;
  /** Not done, neither blocked nor driven from outside, oldest first. */
  unfinished(afterMicros: number, limit: number): OperationRecord[];
  /** Inserts a record. Returns false, and writes nothing, if the name is in use. */
  insert(record: OperationRecord): boolean;
  /** Write what of a record changes, and return what it is then. */
  change(record: OperationRecord, changes: RecordChanges): OperationRecord;
  /** Removes records that no reader finds, and returns their number. */
  expire(limit: number): number;
}

/** @param owner The id of this process, for its claims. */
export function createOperationTable(
  database: SqliteDatabase,
  time: StoreTime,
  owner: string,
): OperationTable {
  const records = (where: string, ...values: SqliteValue[]) =>
    database
      .rows(`select ${operationColumns} from operations where ${where}`, ...values)
      .map(recordFromRow);

  const find = (name: string) => {
    const [record] = records("name = ? and state <> 'gone'", escapeNul(name));
    return record;
  };

  /** Removes a row that is no longer needed, neither by a reader nor for its request id. */
  const clear = (where: string, ...values: SqliteValue[]): boolean => {
    const now = time.now();
    const text = `delete from operations where ${where} and purge_time <= ?
      and coalesce(request_window_end_time <= ?, true)`;
    return database.write(text, ...values, now, now) > 0;
  };

  const isVisibleNow = ({ deleteTimeMicros, expireTimeMicros }: OperationRecord) =>
    isVisible(deleteTimeMicros, expireTimeMicros, time.now());

  return {
    find,
    findVisible(name) {
      const record = find(name);
      return record !== undefined && isVisibleNow(record) ? record : undefined;
    },
    isTaken(name) {
      clear("name = ?", escapeNul(name));
      return database.rows("select 1 from operations where name = ?", escapeNul(name)).length > 0;
    },
    findClaimed({ name, attempt }) {
      const record = find(name);
      return record !== undefined && isHeldBy(record, attempt) ? record : undefined;
    },
    findStarted({ scope, id }) {
      const key = [escapeNul(scope), escapeNul(id)];
      const where = "request_scope = ? and request_id = ?";
      const [row] = database.rows(
        `select name, state = 'gone' as is_gone from operations where ${where}`,
        ...key,
      );
      if (row === undefined) return undefined;
      if (!booleanOf(row, "is_gone")) {
        const [record] = records(where, ...key);
        if (record !== undefined && isVisibleNow(record)) {
          return { kind: "duplicate", record };
        }
      }
      if (clear(where, ...key)) return undefined;
      return { kind: "spent", name: unescapeNul(textOf(row, "name")) };
    },
    openOfResource: (resourceKey, limit = -1) =>
      records(
        `resource_key = ? and end_time is null
          and not (external and delete_time is not null) order by create_time limit ?`,
        escapeNul(resourceKey),
        limit,
      ),
    overdue: (limit) =>
      records(
        "end_time is null and deadline_time <= ? order by deadline_time limit ?",
        time.now(),
        limit,
      ),
    nextDeadlineMicros() {
      const [row] = database.rows(
        `select min(deadline_time) as next from operations
        where end_time is null and deadline_time is not null`,
      );
      return row && optionalTimeOf(row, "next");
    },
    unfinished: (afterMicros, limit) =>
      records(
        `external = 0 and end_time is null and state <> 'blocked' and create_time > ?
        order by create_time limit ?`,
        afterMicros,
        limit,
      ),
    insert(record) {
      const { requestId, createTimeMicros } = record;
      const windowEnd = requestId && later(createTimeMicros, requestId.windowMs);
      return database.write(insertStatement, ...insertValues(record, windowEnd)) === 1;
    },
    change(record, changes) {
      const changed = { ...record, ...changes };
      database.write(...updateOf(changed, changes, owner));
      return changed;
    },
    expire(limit) {
      const now = time.now();
      const due = database.rows(
        `select create_time, state <> 'gone' and coalesce(request_window_end_time > ?, 0) as stays
        from operations where purge_time <= ? order by purge_time limit ?`,
        now,
        now,
        limit,
      );
      for (const row of due) purge(database, row, now);
      return due.length;
    },
  };
}

/** Removes a row, or all of it except its request id while the window of that lasts. */
function purge(database: SqliteDatabase, row: Row, now: number): void {
  const createTime = numberOf(row, "create_time");
  if (!booleanOf(row, "stays")) {
    database.write("delete from operations where create_time = ?", createTime);
    return;
  }
  database.write(
    `update operations set state = 'gone', request = x'', metadata = null, checkpoint = null,
      result_kind = null, result = null, lost_attempts = null, end_time = coalesce(end_time, ?),
      expire_time = coalesce(expire_time, ?), delete_time = coalesce(delete_time, ?)
    where create_time = ?`,
    now,
    now,
    now,
    createTime,
  );
}
