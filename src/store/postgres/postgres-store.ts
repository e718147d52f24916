import { notifySafely } from "../../internal/notify-safely.js";
import type { CountingStore } from "../operation-counts.js";
import type {
  Claim,
  GetOptions,
  OperationRecord,
  Report,
  StoreOptions,
  Transaction,
} from "../operation-store.js";
import { countStatements, countsFromRows } from "../sql/count-operations.js";
import { escapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { numberOf, optionalTimeOf } from "../sql/row.js";
import { claimed } from "./claim-write.js";
import { createDatabase } from "./database.js";
import { createGroupedInsert } from "./grouped-inserts.js";
import { createOperationInserts } from "./insert-operation.js";
import { listOperations } from "./list-operations.js";
import { operationColumns } from "./operation-row.js";
import type { PostgresObserver, StaleWrite } from "./postgres-observer.js";
import type { PostgresPool } from "./postgres-pool.js";
import { createRecordBatches } from "./record-batches.js";
import { createRecordStatements } from "./record-statements.js";
import { defaultSchema, schemaName } from "./schema-name.js";
import {
  createParameters,
  interval,
  isOpen,
  isVisible,
  nextUpdateTime,
  type Parameters,
  statementTime,
} from "./statement.js";
import { resultSql, terminalWrite, terminalWriteIf } from "./terminal-write.js";

/** The location of a PostgreSQL store's table. */
export interface PostgresStoreOptions {
  /** Connections; the store never closes it. */
  pool: PostgresPool;
  /** The schema that `migrate` made. Default: `longrunning`. */
  schema?: string | undefined;
  observer?: PostgresObserver | undefined;
  /**
   * The id of this process, which is kept with each operation that it claims, for operators.
   * Default: none is kept.
   */
  worker?: string | undefined;
  /** Called by `close`, once. Default: nothing. */
  onClose?: (() => Promise<void>) | undefined;
}

/**
 * Creates a store in a PostgreSQL table (14 or newer), for any number of processes. Its clock is
 * the database's. Every call may take part in a caller's transaction, which should be READ
 * COMMITTED: in a stricter one a concurrent write may fail a start.
 *
 * @throws RangeError if `schema` is not a name that schemas can have here.
 */
export function createPostgresStore(options: PostgresStoreOptions): CountingStore {
  const schema = `"${schemaName(options.schema ?? defaultSchema)}"`;
  const table = `${schema}.operations`;
  const columns = operationColumns(schema);
  const database = createDatabase(options.pool);
  const operations = { database, table, columns };
  const inserts = createOperationInserts(operations);
  const statements = createRecordStatements(operations);
  const batches = createRecordBatches(statements);
  let closing: Promise<void> | undefined;

  const records = async (
    text: string,
    { values }: Parameters,
    callOptions: StoreOptions | undefined,
  ): Promise<OperationRecord[]> =>
    (await database.rows(text, values, callOptions)).map(recordFromRow);

  /** Changes one record and resolves with it; undefined if it does not meet the condition. */
  const update = async (
    assignments: string,
    condition: string,
    parameters: Parameters,
    callOptions: StoreOptions | undefined,
  ): Promise<OperationRecord | undefined> => {
    const [record] = await records(
      `update ${table} o set ${assignments} from ${statementTime}
      where ${condition} returning ${columns}`,
      parameters,
      callOptions,
    );
    return record;
  };

  /** Writes for a worker: changes the record that its claim holds, or none. */
  const updateClaimed = async (
    action: StaleWrite["action"],
    assignments: string,
    claim: Claim,
    parameters: Parameters,
    callOptions: StoreOptions | undefined,
  ): Promise<OperationRecord | undefined> => {
    const condition =
      claimed(claim, parameters) + (action === "release" ? " and not o.external" : "");
    const record = await update(assignments, condition, parameters, callOptions);
    if (record === undefined) observeStaleWrite(action, claim);
    return record;
  };

  const observeStaleWrite = (action: StaleWrite["action"], { name, attempt }: Claim) =>
    notifySafely(options.observer, (to) => to.staleWrite?.({ name, attempt, action }));

  const get = async (
    name: string,
    callOptions: GetOptions | undefined,
  ): Promise<OperationRecord | undefined> =>
    callOptions?.transaction === undefined && !callOptions?.evenHidden
      ? batches.get(name)
      : (await statements.read([name], callOptions)).get(name);

  const unblock = async (resourceKey: string, transaction: Transaction) => {
    await inserts.lockResource(resourceKey, transaction);
    const parameters = createParameters();
    const key = parameters.add(escapeNul(resourceKey));
    return update(
      `state = 'queued', update_time = ${nextUpdateTime}`,
      `o.state = 'blocked' and o.name = (
        select o.name from ${table} o
        where md5(o.resource_key) = md5(${key}) and o.resource_key = ${key} and ${isOpen}
        order by o.create_time, o.name limit 1)`,
      parameters,
      { transaction },
    );
  };

  return {
    transaction: (work) => database.transaction(work),
    insert: (operation, insertOptions) => inserts.insert(operation, insertOptions ?? {}),
    check: (operation, insertOptions) => inserts.check(operation, insertOptions ?? {}),
    insertTogether: createGroupedInsert(database, inserts),
    get,
    async claim(name, callOptions) {
      const { restartLost = false, lostAttempt } = callOptions ?? {};
      const item = { name, restartLost, lostAttempt, owner: options.worker };
      return callOptions?.transaction === undefined
        ? batches.claim(item)
        : (await statements.claim([item], "wait", callOptions)).get(name);
    },
    report(claim, report, callOptions) {
      const parameters = createParameters();
      const assignments = [...reported(report, parameters), `update_time = ${nextUpdateTime}`];
      return updateClaimed("report", assignments.join(", "), claim, parameters, callOptions);
    },
    async look(claim, callOptions) {
      const parameters = createParameters();
      const [record] = await records(
        `select ${columns} from ${table} o where ${claimed(claim, parameters)}`,
        parameters,
        callOptions,
      );
      return record;
    },
    release(claim, handover, whenCancelled, callOptions) {
      const parameters = createParameters();
      const isCancelled = "o.cancel_request_time is not null";
      const result = resultSql(whenCancelled, parameters);
      const ended = terminalWriteIf(isCancelled, result, "'queued'");
      const handovers = `handovers = o.handovers + case when ${isCancelled} then 0
        else ${parameters.add(handover ? 1 : 0)}::integer end`;
      return updateClaimed("release", `${ended}, ${handovers}`, claim, parameters, callOptions);
    },
    async finish(claim, result, report, callOptions) {
      const { name, attempt } = claim;
      const item = { name, attempt, result, metadata: report?.metadata };
      const record =
        callOptions?.transaction === undefined
          ? await batches.finish(item)
          : (await statements.finish([item], "wait", callOptions)).get(name);
      if (record === undefined) observeStaleWrite("finish", claim);
      return record;
    },
    async requestCancel(name, whenQueued, cancelOptions) {
      const parameters = createParameters();
      const { graceMs } = cancelOptions ?? {};
      const firstTime = `coalesce(o.cancel_request_time, ${nextUpdateTime})`;
      const assignments = [
        terminalWriteIf("o.state <> 'running'", resultSql(whenQueued, parameters), "o.state"),
        `cancel_request_time = ${firstTime}`,
      ];
      if (graceMs !== undefined) {
        const graceEnd = `${firstTime} + ${interval(parameters.add(graceMs))}`;
        assignments.push(`deadline_time = least(o.deadline_time, ${graceEnd})`);
      }
      const record = await update(
        assignments.join(", "),
        `o.name = ${parameters.add(escapeNul(name))} and o.end_time is null and ${isVisible}`,
        parameters,
        cancelOptions,
      );
      // A done operation does not change, even if it ended while the update waited for its row.
      return record ?? get(name, cancelOptions);
    },
    async hide(name, hideOptions) {
      const parameters = createParameters();
      const onlyDone = hideOptions?.onlyDone === true;
      const record = await update(
        "delete_time = t.now",
        `o.name = ${parameters.add(escapeNul(name))} and ${isVisible}
          ${onlyDone ? "and o.end_time is not null" : ""}`,
        parameters,
        hideOptions,
      );
      return record ?? (onlyDone ? get(name, hideOptions) : undefined);
    },
    unblock(resourceKey, callOptions) {
      const { transaction } = callOptions ?? {};
      const within = (given: Transaction) => unblock(resourceKey, given);
      return transaction === undefined ? database.transaction(within) : within(transaction);
    },
    async endOverdue({ deadlineExceeded, cancelled }, limit, callOptions) {
      const parameters = createParameters();
      const { add } = parameters;
      const inTime = resultSql(deadlineExceeded, parameters);
      const asked = resultSql(cancelled, parameters);
      const either = (one: string, other: string) =>
        `case when o.cancel_request_time is null then ${one} else ${other} end`;
      const result = {
        kind: either(inTime.kind, asked.kind),
        value: either(inTime.value, asked.value),
      };
      const ended = await records(
        `update ${table} o set ${terminalWrite(result)} from ${statementTime} where o.name in (
          select name from ${table}
          where end_time is null and deadline_time <= (select clock_timestamp())
          order by deadline_time limit ${add(limit)} for update skip locked
        ) returning ${columns}`,
        parameters,
        callOptions,
      );
      const [row] = await database.rows(
        `select ${schema}.micros(min(deadline_time)) as next from ${table} where end_time is null`,
        [],
        callOptions,
      );
      return { ended, nextDeadlineMicros: row && optionalTimeOf(row, "next") };
    },
    list: (query, callOptions) => listOperations({ database, schema, columns }, query, callOptions),
    async unfinished({ after, limit }, callOptions) {
      const parameters = createParameters();
      const { add } = parameters;
      const later =
        after === undefined
          ? "true"
          : `(o.create_time, o.name) >
            (${schema}.time_of(${add(after.createTimeMicros)}), ${add(escapeNul(after.name))})`;
      const found = await records(
        `select ${columns} from ${table} o
        where o.state in ('queued', 'running') and not o.external and ${later}
        order by o.create_time, o.name limit ${add(limit + 1)}`,
        parameters,
        callOptions,
      );
      if (found.length <= limit) return { records: found, next: undefined };
      return { records: found.slice(0, limit), next: found[limit - 1] };
    },
    async expire(limit, callOptions) {
      const [removed] = await database.rows(expiry(table), [limit], callOptions);
      return removed === undefined ? 0 : numberOf(removed, "count");
    },
    async counts() {
      const { open, lost } = countStatements(
        table,
        "(extract(epoch from min(create_time)) * 1000000)::bigint",
      );
      const [openRows, lostRows] = [
        await database.rows(open, [], undefined),
        await database.rows(lost, [], undefined),
      ];
      return countsFromRows(openRows, lostRows);
    },
    close() {
      database.close();
      closing ??= options.onClose?.() ?? Promise.resolve();
      return closing;
    },
  };
}

function reported(report: Report, { add }: Parameters): string[] {
  const assignments: string[] = [];
  if (report.metadata !== undefined) assignments.push(`metadata = ${add(report.metadata)}::bytea`);
  if (report.checkpoint !== undefined) {
    assignments.push(`checkpoint = ${add(report.checkpoint)}::bytea`);
  }
  return assignments;
}

/**
 * Removes expired and deleted records. A record whose request id is still in its window becomes a
 * tombstone without payloads; tombstones whose window is over go, too. Returns the number of
 * removed records, without tombstones. Skips rows that another process has locked.
 */
function expiry(table: string): string {
  return `with due as materialized (
    select o.name, o.state = 'gone' as was_gone,
      o.state <> 'gone' and o.request_window_end_time > t.now as stays
    from ${table} o, ${statementTime}
    where o.purge_time <= (select clock_timestamp())
    order by o.purge_time limit $1::integer for update of o skip locked
  ), removed as (
    delete from ${table} o using due where o.name = due.name and due.stays is not true
  ), emptied as (
    update ${table} o set state = 'gone', request = '', metadata = null, checkpoint = null,
      result_kind = null, result = null,
      end_time = coalesce(o.end_time, t.now), expire_time = coalesce(o.expire_time, t.now),
      delete_time = coalesce(o.delete_time, t.now)
    from due, ${statementTime} where o.name = due.name and due.stays
  )
  select count(*) filter (where not was_gone) as count from due`;
}
