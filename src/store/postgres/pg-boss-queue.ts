import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { booleanOf, isRow, numberOf, textOf } from "../sql/row.js";
import { loadPgBoss } from "./load-pg-boss.js";
import { guardPool, type PostgresPool } from "./postgres-pool.js";

/**
 * One delivery of a job. pg-boss's count of attempts is the fence, because it grows with each
 * delivery.
 */
export interface QueuedJob {
  readonly queue: string;
  readonly id: string;
  readonly retryCount: number;
  /** The operation that it stands for. */
  readonly name: string;
  /** The tenant of the operation; may be empty. */
  readonly tenant: string;
}

/** A job to insert. */
export interface NewJob extends Pick<QueuedJob, "name" | "tenant"> {
  /** In milliseconds. */
  readonly delayMs: number;
}

/** Executes statements, in the pool or in a transaction. */
export interface Executor {
  executeSql(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The used calls of pg-boss. Each rejects with the driver's error. */
export interface PgBossQueue {
  /** Creates a queue, or updates the options of an existing one. */
  ensure(queue: string): Promise<void>;
  /** Inserts jobs into one queue, to be delivered after their delay. */
  send(queue: string, jobs: readonly NewJob[], executor: Executor): Promise<void>;
  /** Fetches at most this many jobs, none of these tenants. */
  fetch(
    queue: string,
    limit: number,
    exceptTenants: readonly string[],
    executor: Executor,
  ): Promise<QueuedJob[]>;
  /** Renews these deliveries of one queue. Resolves with the lost ones. */
  renew(queue: string, jobs: readonly QueuedJob[]): Promise<QueuedJob[]>;
  /** Ends these deliveries of one queue. Resolves with the lost ones. */
  remove(
    queue: string,
    jobs: readonly QueuedJob[],
    executor: Executor,
  ): Promise<readonly QueuedJob[]>;
  /** Reads by one statement which of these queues need attention. */
  poll(queues: readonly string[], executor: Executor): Promise<QueueNews[]>;
  /** Requeues the deliveries of a queue whose process did not renew them in time. */
  requeueLost(queue: string): Promise<void>;
  /** Counts the jobs that wait and run, by queue. */
  depths(executor: Executor): Promise<QueueDepth[]>;
  stop(): Promise<void>;
}

/** The state of one queue that is not empty. */
export interface QueueNews {
  readonly queue: string;
  /** Whether a job can be fetched. */
  readonly isDue: boolean;
  /** Whether a delivery was not renewed in time. */
  readonly isLost: boolean;
}

/** The numbers of jobs in one method's queue. */
export interface QueueDepth {
  readonly method: string;
  /** Jobs that wait, including those with a delay. */
  readonly queued: number;
  readonly running: number;
}

/** Options of pg-boss. */
export interface PgBossQueueOptions {
  /** For whatever is given no executor. */
  pool: PostgresPool;
  schema: string;
  /** Whole seconds, at least 10: how long a delivery lives that is not renewed. */
  heartbeatSeconds: number;
  migrate: boolean;
  onError: (cause: unknown) => void;
}

/**
 * Limits of a job that must not be reached: the run loop bounds the attempts, and an operation may
 * wait in the queue for years. One attempt ends after 24 hours, which is pg-boss's limit.
 */
const retryLimit = 1_000_000;
const retentionSeconds = 10 * 365 * 24 * 60 * 60;
const expireInSeconds = 24 * 60 * 60;

/**
 * Starts pg-boss on the given pool.
 *
 * @throws ConnectError INTERNAL if the package is not installed.
 * @throws Error of the driver.
 */
export async function startPgBoss(options: PgBossQueueOptions): Promise<PgBossQueue> {
  const { pool, schema, heartbeatSeconds } = options;
  guardPool(pool);
  const PgBoss = await loadPgBoss();
  const boss = new PgBoss({
    db: adapted({ executeSql: (text, values) => pool.query(text, values) }),
    schema,
    migrate: options.migrate,
    createSchema: options.migrate,
    schedule: false,
    registerInstance: false,
    openTelemetry: { enabled: false },
    // pg-boss's own maintenance is for attempts of more than 24 hours. `requeueLost` starts it as
    // soon as a poll finds a lost delivery, at most once per monitor interval.
    superviseIntervalSeconds: 60,
    monitorIntervalSeconds: 1,
    maintenanceIntervalSeconds: 3600,
    // This package's jobs do not depend on other jobs.
    flowIntervalSeconds: 3600,
  });
  boss.on("error", options.onError);
  try {
    await boss.start();
  } catch (cause) {
    await boss.stop({ graceful: false, close: false }).catch(() => undefined);
    throw cause;
  }
  const queueOptions = {
    heartbeatSeconds,
    expireInSeconds,
    retentionSeconds,
    retryLimit,
    retryDelay: 0,
  };
  const queues = new Set<string>();

  return {
    async ensure(queue) {
      await boss.createQueue(queue, queueOptions);
      // `createQueue` keeps the old options of an existing queue.
      await boss.updateQueue(queue, queueOptions);
      queues.add(queue);
    },
    async send(queue, jobs, executor) {
      const newJobs = jobs.map(({ name, tenant, delayMs }) => ({
        data: { name },
        startAfter: Math.max(0, Math.round(delayMs)) / 1000,
        ...(tenant === "" ? {} : { group: { id: escapeNul(tenant) } }),
      }));
      await boss.insert(queue, newJobs, { db: adapted(executor) });
    },
    async fetch(queue, limit, exceptTenants, executor) {
      const ignoreGroups = exceptTenants.map(escapeNul);
      const db = adapted(executor);
      const jobs = await boss.fetch(queue, { batchSize: limit, ignoreGroups, db });
      return jobs.map(({ id, retryCount, data, groupId }) => {
        const name = isRow(data) && typeof data.name === "string" ? data.name : "";
        return { queue, id, retryCount, name, tenant: unescapeNul(groupId ?? "") };
      });
    },
    async renew(queue, jobs) {
      if (affected(await boss.touch(queue, jobs.map(attemptOf))) === jobs.length) return [];
      // Some deliveries are lost, but the count does not show which deliveries.
      const lost: QueuedJob[] = [];
      for (const job of jobs) {
        if (affected(await boss.touch(queue, attemptOf(job))) === 0) lost.push(job);
      }
      return lost;
    },
    async remove(queue, jobs, executor) {
      // The job is deleted, because `complete` would leave a row that is vacuumed twice. Both calls
      // check the delivery.
      const options = { db: adapted(executor) };
      const removed = settled(await boss.deleteJob(queue, jobs.map(attemptOf), options));
      return jobs.filter(({ id }) => !removed.has(id));
    },
    async poll(names, executor) {
      const { rows } = await executor.executeSql(pollStatement(schema), [names]);
      return rows.filter(isRow).map((row) => ({
        queue: textOf(row, "name"),
        isDue: booleanOf(row, "is_due"),
        isLost: booleanOf(row, "is_lost"),
      }));
    },
    requeueLost: (queue) => boss.supervise(queue),
    async depths(executor) {
      if (queues.size === 0) return [];
      const { rows } = await executor.executeSql(countStatement(schema), [[...queues]]);
      return rows.filter(isRow).map((row) => ({
        method: textOf(row, "name"),
        queued: numberOf(row, "queued"),
        running: numberOf(row, "running"),
      }));
    },
    stop: () => boss.stop({ graceful: false, close: false }),
  };
}

/**
 * pg-boss fetches from one queue by a statement, and an idle process would send one for each
 * method. This reads its table instead; each `exists` uses its index `job_i14`.
 */
function pollStatement(schema: string): string {
  return `select queue.name, due.is_due, lost.is_lost
  from unnest($1::text[]) as queue (name),
  lateral (select exists (
    select from ${schema}.job j where j.name = queue.name and j.state in ('created', 'retry')
      and not j.blocked and j.start_after <= clock_timestamp()
  ) as is_due) due,
  lateral (select exists (
    select from ${schema}.job j where j.name = queue.name and j.state = 'active'
      and j.heartbeat_on + j.heartbeat_seconds * interval '1 second' < clock_timestamp()
  ) as is_lost) lost
  where due.is_due or lost.is_lost`;
}

function countStatement(schema: string): string {
  return `select queue.name,
    count(j.id) filter (where j.state in ('created', 'retry')) as queued,
    count(j.id) filter (where j.state = 'active') as running
  from unnest($1::text[]) as queue (name)
  left join ${schema}.job j on j.name = queue.name and j.state in ('created', 'retry', 'active')
  group by queue.name`;
}

function attemptOf({ id, retryCount }: QueuedJob) {
  return { id, retryCount };
}

function adapted(executor: Executor) {
  return {
    executeSql: (text: string, values?: unknown[]) => executor.executeSql(text, values ?? []),
  };
}

/** The ids of the jobs that a call has changed; its type does not say that it has them. */
function settled(response: object): ReadonlySet<unknown> {
  if ("settled" in response && Array.isArray(response.settled)) return new Set(response.settled);
  throw new TypeError("pg-boss did not say which jobs it changed");
}

/** How many jobs a call has changed; its type does not say that it has the number. */
function affected(response: object): number {
  if ("affected" in response && typeof response.affected === "number") return response.affected;
  throw new TypeError("pg-boss did not say how many jobs it changed");
}
