import type {
  InsertOptions,
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationState,
  RefusedInsert,
  StoredRequestId,
  StoredResult,
  StoreOptions,
  Transaction,
} from "../operation-store.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { booleanOf, textOf } from "../sql/row.js";
import type { OperationTable } from "./operation-row.js";
import { startContended } from "./postgres-errors.js";
import {
  createParameters,
  type GivenColumn,
  givenRows,
  interval,
  isForgotten,
  isOpen,
  isVisible,
  statementTime,
} from "./statement.js";
import { resultSql, terminalWrite } from "./terminal-write.js";

/** How often an insert is tried again after a conflicting row has gone. */
const maxTries = 5;

/** The outcome of an insert whose request id exists. */
type Earlier = Extract<InsertOutcome, { kind: "duplicate" | "spent" }>;

const utf8 = new TextEncoder();

/** The row of a new operation. */
export interface NewRow {
  readonly operation: NewOperation;
  /** Ignored if the operation has a result: then it is `done`. */
  readonly state: OperationState;
  /** SHA-256 of the request id and its scope. */
  readonly requestKey: Uint8Array | undefined;
}

const escaped = (text: string | undefined) => (text === undefined ? undefined : escapeNul(text));

const newRow: readonly GivenColumn<NewRow>[] = [
  ["name", "text", ({ operation }) => escapeNul(operation.name)],
  ["parent", "text", ({ operation }) => escapeNul(operation.parent)],
  ["method", "text", ({ operation }) => escapeNul(operation.method)],
  ["principal", "text", ({ operation }) => escapeNul(operation.principal)],
  ["external", "boolean", ({ operation }) => operation.external],
  ["state", "text", ({ operation, state }) => (operation.result === undefined ? state : "done")],
  ["request", "bytea", ({ operation }) => operation.request],
  ["metadata", "bytea", ({ operation }) => operation.metadata],
  ["result_kind", "text", ({ operation }) => operation.result?.kind],
  ["result", "bytea", ({ operation }) => operation.result?.value],
  ["retention_ms", "float8", ({ operation }) => operation.retentionMs],
  ["deadline_ms", "float8", ({ operation }) => operation.deadlineMs],
  ["resource_key", "text", ({ operation }) => escaped(operation.resourceKey)],
  ["request_scope", "text", ({ operation }) => escaped(operation.requestId?.scope)],
  ["request_id", "text", ({ operation }) => escaped(operation.requestId?.id)],
  ["request_key", "bytea", ({ requestKey }) => requestKey],
  ["request_fingerprint", "bytea", ({ operation }) => operation.requestId?.fingerprint],
  ["request_window_ms", "float8", ({ operation }) => operation.requestId?.windowMs],
  ["traceparent", "text", ({ operation }) => escaped(operation.traceContext?.traceparent)],
  ["tracestate", "text", ({ operation }) => escaped(operation.traceContext?.tracestate)],
];
const newRowColumns = newRow.map(([column]) => column).join(", ");

/** Writes the rows of new operations. */
export interface OperationInserts {
  /** Resolves with the new records; a row that conflicts with another's name or request id is left out. */
  write(rows: readonly NewRow[], options: StoreOptions): Promise<OperationRecord[]>;
  insert(operation: NewOperation, options: InsertOptions): Promise<InsertOutcome>;
  check(operation: NewOperation, options: InsertOptions): Promise<RefusedInsert | undefined>;
  /**
   * Makes every start and unblocking on this resource wait until the transaction is over. The
   * caller does this before it reads the operations of the resource.
   */
  lockResource(resourceKey: string, transaction: Transaction): Promise<void>;
}

export function createOperationInserts({
  database,
  table,
  columns,
}: OperationTable): OperationInserts {
  const write = async (
    rows: readonly NewRow[],
    options: StoreOptions,
  ): Promise<OperationRecord[]> => {
    const parameters = createParameters();
    const given = givenRows(rows, newRow, parameters);
    const ifDone = (value: string) => `case when given.result is not null then ${value} end`;
    // The keys are sorted, because two batches that lock the same keys in different orders would
    // deadlock.
    const written = await database.rows(
      `insert into ${table} as o (${newRowColumns}, create_time, update_time, deadline_time,
        request_window_end_time, end_time, expire_time)
      select ${newRowColumns}, t.now, t.now, t.now + ${interval("deadline_ms")},
        t.now + ${interval("request_window_ms")}, ${ifDone("t.now")},
        ${ifDone(`t.now + ${interval("retention_ms")}`)}
      from ${given}, ${statementTime} order by request_key, name
      on conflict do nothing returning ${columns}`,
      parameters.values,
      options,
    );
    return written.map(recordFromRow);
  };

  /** Resolves with undefined if the row conflicts with another's name or request id. */
  const writeOne = async (
    operation: NewOperation,
    state: OperationState,
    options: StoreOptions,
  ): Promise<OperationRecord | undefined> => {
    const { requestId } = operation;
    const key = requestId && (await requestKey(requestId));
    const [record] = await write([{ operation, state, requestKey: key }], options);
    return record;
  };

  /** Finds the operation of a request id, and removes its tombstone if the window is over. */
  const earlierStart = async (
    requestId: StoredRequestId | undefined,
    options: InsertOptions,
  ): Promise<Earlier | undefined> => {
    if (requestId === undefined) return undefined;
    const key = await requestKey(requestId);
    const [row] = await database.rows(
      `select ${columns}, ${isVisible} as is_visible,
        ${isForgotten} as is_over
      from ${table} o where o.request_key = $1::bytea`,
      [key],
      options,
    );
    if (row === undefined) return undefined;
    if (booleanOf(row, "is_over")) {
      await database.rows(
        `delete from ${table} o where o.request_key = $1::bytea and ${isForgotten}`,
        [key],
        options,
      );
      return undefined;
    }
    return booleanOf(row, "is_visible")
      ? { kind: "duplicate", record: recordFromRow(row) }
      : { kind: "spent", name: unescapeNul(textOf(row, "name")) };
  };

  /** A record that has expired, or was deleted, does not keep its name. */
  const isNameTaken = async (name: string, options: InsertOptions): Promise<boolean> => {
    await database.rows(
      `delete from ${table} o where o.name = $1 and ${isForgotten}`,
      [escapeNul(name)],
      options,
    );
    const rows = await database.rows(
      `select 1 from ${table} where name = $1`,
      [escapeNul(name)],
      options,
    );
    return rows.length > 0;
  };

  /** Inserts an operation that depends on no other: one statement, if no row conflicts. */
  const insertAlone = async (
    operation: NewOperation,
    options: InsertOptions,
  ): Promise<InsertOutcome> => {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const record = await writeOne(operation, operation.external ? "running" : "queued", options);
      if (record !== undefined) return { kind: "inserted", record, preempted: [] };
      const earlier = await earlierStart(operation.requestId, options);
      if (earlier !== undefined) return earlier;
      if (await isNameTaken(operation.name, options)) return { kind: "name-taken" };
      // The conflicting row was deleted between the two statements.
    }
    throw startContended();
  };

  /** The names of a resource's operations that are not done, oldest first. */
  const openOf = async (resourceKey: string, options: InsertOptions): Promise<string[]> => {
    const rows = await database.rows(
      `select o.name from ${table} o
      where md5(o.resource_key) = md5($1) and o.resource_key = $1 and ${isOpen}
      order by o.create_time, o.name`,
      [escapeNul(resourceKey)],
      options,
    );
    return rows.map((row) => textOf(row, "name"));
  };

  const preempt = async (
    names: readonly string[],
    result: StoredResult,
    options: InsertOptions,
  ): Promise<OperationRecord[]> => {
    const parameters = createParameters();
    const rows = await database.rows(
      `update ${table} o set ${terminalWrite(resultSql(result, parameters))} from ${statementTime}
      where o.name = any(${parameters.add(names)}::text[]) and o.end_time is null
      returning ${columns}`,
      parameters.values,
      options,
    );
    return rows.map(recordFromRow);
  };

  const lockResource = async (resourceKey: string, transaction: Transaction) => {
    await database.rows(
      "select pg_advisory_xact_lock(hashtextextended($1, 1))",
      [`${table} ${escapeNul(resourceKey)}`],
      { transaction },
    );
  };

  /** An operation that shares a resource: in a transaction, one start after the other. */
  const insertOnResource = async (
    operation: NewOperation,
    resourceKey: string,
    options: InsertOptions,
    transaction: Transaction,
  ): Promise<InsertOutcome> => {
    const within = { transaction };
    const parallel = options.parallel ?? { kind: "queue" };
    if (parallel.kind === "preempt") {
      // A worker that ends its operation locks the row first and the resource second. This
      // transaction uses the same order, because the opposite order could deadlock.
      await database.rows(
        `select 1 from ${table} o
        where md5(o.resource_key) = md5($1) and o.resource_key = $1 and ${isOpen}
        order by o.create_time, o.name for update`,
        [escapeNul(resourceKey)],
        within,
      );
    }
    await lockResource(resourceKey, transaction);
    const earlier = await earlierStart(operation.requestId, within);
    if (earlier !== undefined) return earlier;
    if (await isNameTaken(operation.name, within)) return { kind: "name-taken" };
    const open = await openOf(resourceKey, within);
    const [oldest] = open;
    if (oldest !== undefined && parallel.kind === "refuse") {
      return { kind: "busy", name: unescapeNul(oldest) };
    }
    const preempted =
      parallel.kind === "preempt" ? await preempt(open, parallel.result, within) : [];
    const isBlocked = parallel.kind === "queue" && oldest !== undefined;
    const state = operation.external ? "running" : isBlocked ? "blocked" : "queued";
    const record = await writeOne(operation, state, within);
    // A start with another resource has taken the name or the request id in the meantime. The
    // transaction is rolled back, so that the preempted operations continue.
    if (record === undefined) throw startContended();
    return { kind: "inserted", record, preempted };
  };

  return {
    write,
    lockResource,
    async check({ name, resourceKey, result }, options) {
      if (await isNameTaken(name, options)) return { kind: "name-taken" };
      const usesResource = resourceKey !== undefined && result === undefined;
      if (options.parallel?.kind !== "refuse" || !usesResource) return undefined;
      const [oldest] = await openOf(resourceKey, options);
      return oldest === undefined ? undefined : { kind: "busy", name: unescapeNul(oldest) };
    },
    async insert(operation, options) {
      const { resourceKey, result } = operation;
      if (resourceKey === undefined || result !== undefined) return insertAlone(operation, options);
      const { transaction } = options;
      const insert = (within: Transaction) =>
        insertOnResource(operation, resourceKey, options, within);
      return transaction === undefined ? database.transaction(insert) : insert(transaction);
    },
  };
}

/** Returns the SHA-256 of scope and id, because an index needs a key of bounded length. */
export async function requestKey({ scope, id }: StoredRequestId): Promise<Uint8Array> {
  const text = utf8.encode(JSON.stringify([scope, id]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text));
}
