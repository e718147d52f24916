import type { Transaction } from "../operation-store.js";
import type {
  InspectedDelivery,
  OperationsOperator,
  RequeueOutcome,
  RunningOperationReport,
  WorkerReport,
} from "../operator.js";
import { inspectionFromRow } from "../sql/inspection-from-row.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import {
  booleanOf,
  numberOf,
  optionalNumberOf,
  optionalTextOf,
  optionalTimeOf,
  type Row,
  textOf,
} from "../sql/row.js";
import { createDatabase } from "./database.js";
import { assertMigrated } from "./migrate.js";
import { operationColumns } from "./operation-row.js";
import { startPgBoss } from "./pg-boss-queue.js";
import type { PostgresPool } from "./postgres-pool.js";
import { createPostgresStore } from "./postgres-store.js";
import { defaultSchema, schemaName } from "./schema-name.js";
import { idleRenewalMs } from "./worker-row.js";

/** The location of operations in a PostgreSQL database. */
export interface PostgresOperatorOptions {
  /** Connections, at least two; the operator never closes it. */
  pool: PostgresPool;
  /** Default: `longrunning`. */
  schema?: string | undefined;
  /** pg-boss's schema. Default: that of the operations with `_queue` behind it. */
  queueSchema?: string | undefined;
}

/** The name of the operation of job `j`, as the column `name` of an operation has it. */
const jobName = "replace(j.data ->> 'name', '\\', '\\\\')";

/**
 * Creates an operator of the operations in a PostgreSQL database. It does not start a server and
 * does not migrate the database.
 *
 * @throws RangeError if a schema is not a name that schemas can have here.
 * @throws ConnectError INTERNAL, `DATABASE_NOT_MIGRATED`, if the schema lacks steps of this
 * program; FAILED_PRECONDITION, `DATABASE_TOO_NEW`; UNAVAILABLE if the database cannot be reached.
 */
export async function createPostgresOperator(
  options: PostgresOperatorOptions,
): Promise<OperationsOperator> {
  const { pool } = options;
  const unquoted = schemaName(options.schema ?? defaultSchema);
  const queueSchema = schemaName(options.queueSchema ?? `${unquoted}_queue`);
  const schema = `"${unquoted}"`;
  const table = `${schema}.operations`;
  const micros = (time: string) => `${schema}.micros(${time})`;
  const database = createDatabase(pool);
  await assertMigrated(pool, unquoted);
  const store = createPostgresStore({ pool, schema: unquoted });

  const jobsOf = (name: string, transaction?: Transaction) =>
    database.rows(
      `select j.id, j.state::text as state, j.start_after <= clock_timestamp() as is_due,
        coalesce(j.heartbeat_on + j.heartbeat_seconds * interval '1 second' > clock_timestamp(), true)
          as is_renewed,
        ${micros("j.start_after")} as due_time, ${micros("j.heartbeat_on")} as renew_time
      from ${queueSchema}.job j join ${table} o on j.name = o.method and ${jobName} = o.name
      where o.name = $1 and j.state in ('created', 'retry', 'active')
      order by j.state = 'active' desc, j.start_after`,
      [escapeNul(name)],
      { transaction },
    );

  /** Queues an operation in a transaction; false if its queue does not exist. */
  const enqueue = async (row: Row, transaction: Transaction): Promise<boolean> => {
    const name = unescapeNul(textOf(row, "name"));
    const method = textOf(row, "method");
    const [found] = await database.rows(
      `select exists (select from ${queueSchema}.queue where name = $1) as has_queue`,
      [method],
      { transaction },
    );
    if (found === undefined || !booleanOf(found, "has_queue")) return false;
    const queue = await startPgBoss({
      ...{ pool, schema: queueSchema, heartbeatSeconds: 10, migrate: false },
      onError: () => undefined,
    });
    try {
      const tenant = unescapeNul(textOf(row, "principal") || textOf(row, "parent"));
      await queue.send(method, [{ name, tenant, delayMs: 0 }], transaction);
    } finally {
      await queue.stop();
    }
    // NOTIFY delays other commits, but operators rarely requeue.
    await database.rows("select pg_notify($1, $2)", [`${queueSchema}_dispatch`, method], {
      transaction,
    });
    return true;
  };

  const requeueRunnable = async (
    row: Row,
    force: boolean,
    transaction: Transaction,
  ): Promise<RequeueOutcome> => {
    const within = { transaction };
    const name = unescapeNul(textOf(row, "name"));
    const jobs = await jobsOf(name, transaction);
    const [job] = jobs;
    const isRunning = job !== undefined && textOf(job, "state") === "active";
    if (isRunning && booleanOf(job, "is_renewed") && !force) {
      return {
        kind: "running",
        owner: optionalTextOf(row, "owner") ?? null,
        renewTimeMicros: optionalTimeOf(job, "renew_time") ?? null,
      };
    }
    if (job !== undefined && !isRunning && booleanOf(job, "is_due")) {
      return { kind: "already-queued" };
    }
    await database.rows(
      `delete from ${queueSchema}.job where name = $1 and id = any($2::uuid[])`,
      [textOf(row, "method"), jobs.map((each) => textOf(each, "id"))],
      within,
    );
    // If a process still runs the operation, its next renewal finds that the job is gone.
    if (isRunning && booleanOf(job, "is_renewed")) {
      await database.rows(
        `update ${table} set loss_cause = 'requeued' where name = $1 and state = 'running'`,
        [escapeNul(name)],
        within,
      );
    }
    return (await enqueue(row, transaction))
      ? { kind: "requeued" }
      : { kind: "never-handled", method: textOf(row, "method") };
  };

  /** The oldest operation of a resource may be blocked although no other uses the resource. */
  const requeueBlocked = async (row: Row, transaction: Transaction): Promise<RequeueOutcome> => {
    const resourceKey = unescapeNul(textOf(row, "resource_key"));
    const unblocked = await store.unblock(resourceKey, { transaction });
    if (unblocked !== undefined) {
      const { name, method, principal, parent } = unblocked;
      const other = { name: escapeNul(name), method, principal, parent };
      if (!(await enqueue(other, transaction))) return { kind: "never-handled", method };
      if (name === unescapeNul(textOf(row, "name"))) return { kind: "requeued" };
      return { kind: "blocked", by: name };
    }
    const [holder] = await database.rows(
      `select o.name from ${table} o
      where md5(o.resource_key) = md5($1) and o.resource_key = $1 and o.end_time is null
      order by o.create_time, o.name limit 1`,
      [escapeNul(resourceKey)],
      { transaction },
    );
    return { kind: "blocked", by: holder === undefined ? "" : unescapeNul(textOf(holder, "name")) };
  };

  const requeue = async (
    name: string,
    force: boolean,
    transaction: Transaction,
  ): Promise<RequeueOutcome> => {
    const [row] = await database.rows(
      `select o.name, o.method, o.principal, o.parent, o.state, o.external, o.owner, o.resource_key
      from ${table} o where o.name = $1 and o.state <> 'gone' for update`,
      [escapeNul(name)],
      { transaction },
    );
    if (row === undefined) return { kind: "not-found" };
    const state = textOf(row, "state");
    if (state === "done") return { kind: "done" };
    if (booleanOf(row, "external")) return { kind: "external" };
    if (state === "blocked") return requeueBlocked(row, transaction);
    return requeueRunnable(row, force, transaction);
  };

  return {
    async inspect(name) {
      const [row] = await database.rows(
        `select ${operationColumns(schema)}, o.owner, ${micros("o.claim_time")} as claim_time,
          o.lost_attempts,
          (select ${micros("w.renew_time")} from ${schema}.workers w where w.id = o.owner) as seen_time
        from ${table} o where o.name = $1 and o.state <> 'gone'`,
        [escapeNul(name)],
        undefined,
      );
      if (row === undefined) return undefined;
      return inspectionFromRow(row, deliveryOf((await jobsOf(name))[0]));
    },
    requeue: (name, force) =>
      database.transaction((transaction) => requeue(name, force, transaction)),
    async workers() {
      const workers = await database.rows(
        `select w.id, w.host, w.process_id, w.lease_ms, ${micros("w.start_time")} as start_time,
          ${micros("w.renew_time")} as renew_time, ${micros("w.stop_time")} as stop_time,
          extract(epoch from clock_timestamp() - w.renew_time) * 1000 as silent_ms
        from ${schema}.workers w order by w.host, w.start_time`,
        [],
        undefined,
      );
      const running = await database.rows(
        `select o.name, o.method, o.attempt, o.owner, ${micros("o.claim_time")} as claim_time,
          ${micros("j.heartbeat_on")} as renew_time
        from ${queueSchema}.job j
        join ${table} o on o.name = ${jobName} and o.method = j.name and o.state = 'running'
        where j.state = 'active' order by o.claim_time, o.name`,
        [],
        undefined,
      );
      return workerReports(workers, running);
    },
  };
}

function deliveryOf(job: Row | undefined): InspectedDelivery {
  if (job === undefined) return { state: "none", dueTimeMicros: null, renewTimeMicros: null };
  const dueTimeMicros = optionalTimeOf(job, "due_time") ?? null;
  if (textOf(job, "state") === "active") {
    const renewTimeMicros = optionalTimeOf(job, "renew_time") ?? null;
    return { state: "running", dueTimeMicros, renewTimeMicros };
  }
  const state = booleanOf(job, "is_due") ? "queued" : "delayed";
  return { state, dueTimeMicros, renewTimeMicros: null };
}

/** The processes that have not shut down, or still have operations; unknown owners last. */
function workerReports(workers: readonly Row[], running: readonly Row[]): WorkerReport[] {
  const byOwner = new Map<string | undefined, RunningOperationReport[]>();
  for (const row of running) {
    const owner = optionalTextOf(row, "owner");
    const operations = byOwner.get(owner) ?? [];
    byOwner.set(owner, operations);
    operations.push({
      name: unescapeNul(textOf(row, "name")),
      method: unescapeNul(textOf(row, "method")),
      attempt: numberOf(row, "attempt"),
      claimTimeMicros: optionalTimeOf(row, "claim_time") ?? null,
      renewTimeMicros: optionalTimeOf(row, "renew_time") ?? null,
    });
  }
  const known = workers.map((row): WorkerReport => {
    const id = textOf(row, "id");
    const leaseMs = numberOf(row, "lease_ms");
    const operations = byOwner.get(id) ?? [];
    byOwner.delete(id);
    const limitMs = operations.length > 0 ? leaseMs : Math.max(leaseMs, 2 * idleRenewalMs);
    return {
      id,
      host: textOf(row, "host"),
      processId: numberOf(row, "process_id"),
      startTimeMicros: optionalTimeOf(row, "start_time") ?? null,
      seenTimeMicros: optionalTimeOf(row, "renew_time") ?? null,
      stopTimeMicros: optionalTimeOf(row, "stop_time") ?? null,
      leaseMs,
      isSilent: (optionalNumberOf(row, "silent_ms") ?? 0) > limitMs,
      running: operations,
    };
  });
  const unknown = [...byOwner].map(
    ([owner, operations]): WorkerReport => ({
      ...{ id: owner ?? null, host: owner?.split(":")[0] ?? "", processId: null },
      ...{ startTimeMicros: null, seenTimeMicros: null, stopTimeMicros: null, leaseMs: null },
      ...{ isSilent: false, running: operations },
    }),
  );
  return [
    ...known.filter(
      ({ stopTimeMicros, isSilent, running: operations }) =>
        operations.length > 0 || (stopTimeMicros === null && !isSilent),
    ),
    ...unknown,
  ];
}
