import type {
  InsertOptions,
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationState,
  StoredRequestId,
  StoredResult,
  Transaction,
} from "../operation-store.js";
import { escapeNul } from "../sql/nul-escape.js";
import { recordFromRow } from "../sql/record-from-row.js";
import { booleanOf, textOf } from "../sql/row.js";
import type { Database } from "./database.js";
import { startContended } from "./postgres-errors.js";
import { createParameters, interval, isOpen, isVisible, statementTime } from "./statement.js";
import { resultSql, terminalWrite } from "./terminal-write.js";

/** What inserts stand on. */
export interface InsertParts {
  database: Database;
  /** The table, quoted, with its schema. */
  table: string;
  /** What `recordFromRow` reads of row `o`. */
  columns: string;
}

/** How often an insert looks again at what came in between, before it gives up. */
const maxTries = 5;

/** What an earlier start with the same request id left. */
type Earlier = Extract<InsertOutcome, { kind: "duplicate" | "spent" }>;

const utf8 = new TextEncoder();

/** Writes the rows of new operations. */
export interface OperationInserts {
  insert(operation: NewOperation, options: InsertOptions): Promise<InsertOutcome>;
  /**
   * Have all that start or unblock on this resource wait until the transaction is over. To
   * be called before what they look at is read.
   */
  lockResource(resourceKey: string, transaction: Transaction): Promise<void>;
}

export function createOperationInserts({
  database,
  table,
  columns,
}: InsertParts): OperationInserts {
  /** Undefined where the row meets another's name or request id, and was not written. */
  const write = async (
    operation: NewOperation,
    state: OperationState,
    options: InsertOptions,
  ): Promise<OperationRecord | undefined> => {
    const { requestId, result } = operation;
    const { add, values } = createParameters();
    const window = requestId && interval(add(requestId.windowMs));
    const deadline = operation.deadlineMs === undefined ? undefined : add(operation.deadlineMs);
    const retention = add(operation.retentionMs);
    const entries: [column: string, value: string][] = [
      ["name", add(escapeNul(operation.name))],
      ["parent", add(escapeNul(operation.parent))],
      ["method", add(escapeNul(operation.method))],
      ["principal", add(escapeNul(operation.principal))],
      ["external", `${add(operation.external)}::boolean`],
      ["state", add(result === undefined ? state : "done")],
      ["request", `${add(operation.request)}::bytea`],
      ["metadata", `${add(operation.metadata ?? null)}::bytea`],
      ["retention_ms", `${retention}::double precision`],
      ["create_time", "t.now"],
      ["update_time", "t.now"],
    ];
    if (result !== undefined) {
      entries.push(
        ["result_kind", add(result.kind)],
        ["result", `${add(result.value)}::bytea`],
        ["end_time", "t.now"],
        ["expire_time", `t.now + ${interval(retention)}`],
      );
    }
    if (deadline !== undefined) {
      entries.push(
        ["deadline_ms", `${deadline}::double precision`],
        ["deadline_time", `t.now + ${interval(deadline)}`],
      );
    }
    if (operation.resourceKey !== undefined) {
      entries.push(["resource_key", add(escapeNul(operation.resourceKey))]);
    }
    if (requestId !== undefined) {
      entries.push(
        ["request_scope", add(escapeNul(requestId.scope))],
        ["request_id", add(escapeNul(requestId.id))],
        ["request_key", `${add(await requestKey(requestId))}::bytea`],
        ["request_fingerprint", `${add(requestId.fingerprint)}::bytea`],
        ["request_window_ms", `${add(requestId.windowMs)}::double precision`],
        ["request_window_end_time", `t.now + ${window}`],
      );
    }
    const [row] = await database.rows(
      `insert into ${table} as o (${entries.map(([column]) => column).join(", ")})
      select ${entries.map(([, value]) => value).join(", ")} from ${statementTime}
      on conflict do nothing returning ${columns}`,
      values,
      options,
    );
    return row && recordFromRow(row);
  };

  /** What a request id led to before; a record that is gone with its window is cleared away. */
  const earlierStart = async (
    requestId: StoredRequestId | undefined,
    options: InsertOptions,
  ): Promise<Earlier | undefined> => {
    if (requestId === undefined) return undefined;
    const key = await requestKey(requestId);
    const [row] = await database.rows(
      `select ${columns}, ${isVisible} as is_visible,
        (o.state = 'gone' and o.request_window_end_time <= clock_timestamp()) as is_over
      from ${table} o where o.request_key = $1::bytea`,
      [key],
      options,
    );
    if (row === undefined) return undefined;
    if (booleanOf(row, "is_over")) {
      await database.rows(
        `delete from ${table} where request_key = $1::bytea and state = 'gone'`,
        [key],
        options,
      );
      return undefined;
    }
    return booleanOf(row, "is_visible")
      ? { kind: "duplicate", record: recordFromRow(row) }
      : { kind: "spent", name: textOf(row, "name") };
  };

  const isNameTaken = async (name: string, options: InsertOptions): Promise<boolean> => {
    const rows = await database.rows(
      `select 1 from ${table} where name = $1`,
      [escapeNul(name)],
      options,
    );
    return rows.length > 0;
  };

  /** An operation that depends on no other: one statement, if nothing is in its way. */
  const insertAlone = async (
    operation: NewOperation,
    options: InsertOptions,
  ): Promise<InsertOutcome> => {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const record = await write(operation, operation.external ? "running" : "queued", options);
      if (record !== undefined) return { kind: "inserted", record, preempted: [] };
      const earlier = await earlierStart(operation.requestId, options);
      if (earlier !== undefined) return earlier;
      if (await isNameTaken(operation.name, options)) return { kind: "name-taken" };
      // What was in the way is gone by now.
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
      // A worker that ends its operation holds the row and then wants the resource, so here
      // too the rows come first: in the other order the two would block each other.
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
    if (oldest !== undefined && parallel.kind === "refuse") return { kind: "busy", name: oldest };
    const preempted =
      parallel.kind === "preempt" ? await preempt(open, parallel.result, within) : [];
    const isBlocked = parallel.kind === "queue" && oldest !== undefined;
    const state = operation.external ? "running" : isBlocked ? "blocked" : "queued";
    const record = await write(operation, state, within);
    // Somebody with another resource has taken the name or the request id since. What was
    // preempted must not stay so: the transaction has to be given up.
    if (record === undefined) throw startContended();
    return { kind: "inserted", record, preempted };
  };

  return {
    lockResource,
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

/** SHA-256 of scope and id: of one length, whatever theirs is, and never the same for two. */
export async function requestKey({ scope, id }: StoredRequestId): Promise<Uint8Array> {
  const text = utf8.encode(JSON.stringify([scope, id]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text));
}
