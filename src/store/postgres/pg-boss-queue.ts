import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { isRow } from "../sql/row.js";
import { loadPgBoss } from "./load-pg-boss.js";
import { guardPool, type PostgresPool } from "./postgres-pool.js";

/** One delivery of a job: pg-boss's own fence, as the count grows with each. */
export interface QueuedJob {
  readonly queue: string;
  readonly id: string;
  readonly retryCount: number;
  /** The operation that it stands for. */
  readonly name: string;
  /** For whom; empty for nobody in particular. */
  readonly tenant: string;
}

/** What is put in a queue. */
export interface NewJob extends Pick<QueuedJob, "name" | "tenant"> {
  /** In milliseconds. */
  readonly delayMs: number;
}

/** Whatever statements are run by: the pool, or a transaction. */
export interface Executor {
  executeSql(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/** What is asked of pg-boss, in our words. Each rejects with what the driver throws. */
export interface PgBossQueue {
  /** Make a queue, or bring one that is there to the present options. */
  ensure(queue: string): Promise<void>;
  /** Have jobs of one queue delivered after their delay. */
  send(queue: string, jobs: readonly NewJob[], executor: Executor): Promise<void>;
  /** Take at most this many jobs, none of these tenants. */
  fetch(
    queue: string,
    limit: number,
    exceptTenants: readonly string[],
    executor: Executor,
  ): Promise<QueuedJob[]>;
  /** Show that these deliveries of one queue live; resolves with those that are held no more. */
  renew(queue: string, jobs: readonly QueuedJob[]): Promise<QueuedJob[]>;
  /** End these deliveries of one queue; resolves with those that were held no more. */
  remove(
    queue: string,
    jobs: readonly QueuedJob[],
    executor: Executor,
  ): Promise<readonly QueuedJob[]>;
  /** How much waits and how much runs, by queue; some seconds old. */
  depths(): Promise<QueueDepth[]>;
  stop(): Promise<void>;
}

/** How much there is in one method's queue. */
export interface QueueDepth {
  readonly method: string;
  /** Those that wait for their turn or for their time. */
  readonly queued: number;
  readonly running: number;
}

/** How pg-boss is run. */
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
 * What a job has to outlive: the run loop bounds the attempts, and an operation waits in
 * the queue however long. An attempt itself ends after 24 hours, which is pg-boss's limit.
 */
const retryLimit = 1_000_000;
const retentionSeconds = 10 * 365 * 24 * 60 * 60;
const expireInSeconds = 24 * 60 * 60;

/**
 * Start pg-boss on a pool of ours.
 *
 * @throws ConnectError `Internal` if the package is not installed; what the driver throws.
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
    // What a dead process had is given out again within a second or two of its last heartbeat's end.
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
    maintenanceIntervalSeconds: 3600,
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
      // One that was there keeps its options otherwise.
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
      // Some are held no more; the count does not say which.
      const lost: QueuedJob[] = [];
      for (const job of jobs) {
        if (affected(await boss.touch(queue, attemptOf(job))) === 0) lost.push(job);
      }
      return lost;
    },
    async remove(queue, jobs, executor) {
      // Not `complete`, which leaves a row behind to be vacuumed twice; the fence is the same.
      const options = { db: adapted(executor) };
      const removed = settled(await boss.deleteJob(queue, jobs.map(attemptOf), options));
      return jobs.filter(({ id }) => !removed.has(id));
    },
    async depths() {
      if (queues.size === 0) return [];
      const found = await boss.getQueues([...queues]);
      return found.map(({ name, queuedCount, activeCount }) => ({
        method: name,
        queued: queuedCount,
        running: activeCount,
      }));
    },
    stop: () => boss.stop({ graceful: false, close: false }),
  };
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
