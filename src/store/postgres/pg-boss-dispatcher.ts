import { type Clock, systemClock } from "../../internal/clock.js";
import { notifySafely } from "../../internal/notify-safely.js";
import { atLeastOne, inRange, longestMs } from "../../internal/option-bounds.js";
import { sleep } from "../../internal/sleep.js";
import type { Delivery, DispatchedOperation, Dispatcher, Settlement } from "../dispatcher.js";
import type { Transaction } from "../operation-store.js";
import type { WorkerIdentity } from "../worker-identity.js";
import { createBatcher } from "./batcher.js";
import { createDatabase } from "./database.js";
import { databaseError } from "./database-error.js";
import { createLeaseKeeper, type Lease } from "./lease-keeper.js";
import type { NotificationListener } from "./notification-listener.js";
import { createNotifier } from "./notifier.js";
import {
  type NewJob,
  type PgBossQueue,
  type QueueDepth,
  type QueuedJob,
  startPgBoss,
} from "./pg-boss-queue.js";
import {
  logToConsole,
  type PostgresObserver,
  requeuedLine,
  stalledLine,
} from "./postgres-observer.js";
import type { PostgresPool } from "./postgres-pool.js";
import { createReconciler } from "./reconcile.js";
import { schemaName } from "./schema-name.js";
import { createWorkerRow } from "./worker-row.js";

/** Connections, limits and times of a pg-boss dispatcher. */
export interface PgBossDispatcherOptions {
  /** Connections for dispatching, fetching and settling: at least one. */
  pool: PostgresPool;
  /**
   * Connections for creating queues and renewing leases, at least two; no transaction holds one of
   * them. A transaction that unblocks an operation may have to create its queue: without this pool,
   * as many such transactions as there are connections would wait for each other.
   * Default: `pool`, which then needs more connections than transactions that run at once.
   */
  maintenancePool?: PostgresPool | undefined;
  /**
   * Wakes the dispatcher as soon as an operation is dispatched. `stop` does not close it. Absent: the
   * dispatcher polls only.
   */
  listener?: NotificationListener | undefined;
  /**
   * pg-boss's schema, ours alone, so that an application's own pg-boss is untouched.
   * Default: `longrunning_queue`.
   */
  schema?: string | undefined;
  /**
   * Schema of the operations. The dispatcher then requeues operations whose job is gone, and
   * calls `requeued` of the observer. Default: it does not look for them.
   */
  operationsSchema?: string | undefined;
  /**
   * This process in the table of workers of `operationsSchema`, for operators: `id` is the `worker`
   * of its store. Default: it has no row there.
   */
  worker?: WorkerIdentity | undefined;
  /**
   * How often it looks for operations whose job is gone, in milliseconds, at least 1.
   * Default: 60,000.
   */
  reconcileIntervalMs?: number | undefined;
  /** False: the schema is there, as pg-boss's own command makes it. Default: true. */
  migrate?: boolean | undefined;
  /** How many operations run side by side in this process, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /**
   * How often the queues of all methods are polled, by one statement, in milliseconds, at least
   * 1. A notification that was lost costs a start this time, and the operations of a lost process
   * are found by it. Default: 1000.
   */
  pollIntervalMs?: number | undefined;
  /**
   * How long after its last sign of life a process loses what it runs, in whole seconds,
   * at least 10, which is pg-boss's least. Default: 10.
   */
  leaseSeconds?: number | undefined;
  /** False: send no NOTIFY when something is dispatched. Default: true. */
  notify?: boolean | undefined;
  observer?: PostgresObserver | undefined;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** A dispatcher that many processes share. */
export interface PgBossDispatcher extends Dispatcher {
  /**
   * Counts the operations that wait and run in the queues that this process knows, in a time in
   * proportion to their number. Starts pg-boss if nothing has yet.
   */
  depths(): Promise<QueueDepth[]>;
}

/** How many jobs one fetch takes; the rest is left to other processes. */
const maxFetched = 10;

/** How many tenants are remembered to have had their turn. */
const maxServedTenants = 1000;

/** The pause before a failed run or a failed settlement is tried again, in milliseconds. */
const retryDelayMs = 1000;

/** The run of a delivery that arrives after this process has stopped. */
const handOver = async (): Promise<Settlement> => ({ kind: "handover" });

/** One method that is served here. */
interface ServedMethod {
  readonly run: (delivery: Delivery) => Promise<Settlement>;
  /** How many of it run side by side at most. */
  readonly maxConcurrent: number;
  running: number;
  /** Whether there may be something in its queue. */
  isDue: boolean;
  /** The tenants that had a turn in this round; the others come first. */
  readonly servedTenants: Set<string>;
}

/**
 * Creates a dispatcher on pg-boss 12, with a queue for each method. Operations that are dispatched
 * in a transaction are queued when it commits. A process that dies, stops or loses its
 * connections loses its deliveries after `leaseSeconds`, and another process gets them a second
 * or two later; the signal of a delivery aborts before that.
 *
 * One attempt lasts 24 hours at most, which is pg-boss's limit: then it is lost.
 *
 * @throws RangeError for an option out of its bounds.
 */
export function createPgBossDispatcher(options: PgBossDispatcherOptions): PgBossDispatcher {
  const { pool, observer } = options;
  const schema = schemaName(options.schema ?? "longrunning_queue");
  const maxConcurrent = atLeastOne("maxConcurrent", options.maxConcurrent ?? 100);
  const pollIntervalMs = inRange("pollIntervalMs", options.pollIntervalMs ?? 1000, 1, longestMs);
  const reconcileIntervalMs = inRange(
    "reconcileIntervalMs",
    options.reconcileIntervalMs ?? 60_000,
    1,
    longestMs,
  );
  const heartbeatSeconds = atLeastOne("leaseSeconds", options.leaseSeconds ?? 10);
  inRange("leaseSeconds", heartbeatSeconds, 10, longestMs / 1000);
  const clock = options.clock ?? systemClock;
  const channel = `${schema}_dispatch`;
  const database = createDatabase(pool);
  const notifier =
    (options.notify ?? true) ? createNotifier({ database, channel, observer }) : undefined;
  const methods = new Map<string, ServedMethod>();
  const ensured = new Map<string, Promise<void>>();
  const underWay = new Set<Promise<void>>();
  const pollStopped = new AbortController();
  const delayedWakes = new Set<() => void>();
  let starting: Promise<PgBossQueue> | undefined;
  /** The fetching that is under way. */
  let fetching: Promise<void> | undefined;
  let isPolling = false;
  let stopping: Promise<void> | undefined;

  const failed = (action: string, cause: unknown) =>
    notifySafely(observer, (to) => to.queueFailed?.({ action, cause }));

  /** pg-boss, started; where that failed it is tried again. */
  const started = (): Promise<PgBossQueue> => {
    starting ??= startPgBoss({
      pool: options.maintenancePool ?? pool,
      schema,
      heartbeatSeconds,
      migrate: options.migrate ?? true,
      onError: (cause) => failed("supervise", cause),
    }).catch((cause: unknown) => {
      starting = undefined;
      throw cause;
    });
    return starting;
  };

  /** The queue of a method, which is there when this resolves. */
  const queueOf = async (method: string): Promise<PgBossQueue> => {
    const queue = await started();
    let ensuring = ensured.get(method);
    if (ensuring === undefined) {
      ensuring = queue.ensure(method);
      ensured.set(method, ensuring);
      ensuring.catch(() => ensured.delete(method));
    }
    await ensuring;
    return queue;
  };

  const leaseMs = heartbeatSeconds * 1000;
  const workerRow =
    options.worker === undefined || options.operationsSchema === undefined
      ? undefined
      : createWorkerRow({
          database: createDatabase(options.maintenancePool ?? pool),
          schema: schemaName(options.operationsSchema),
          identity: options.worker,
          leaseMs,
          clock,
        });
  /** Writes a sign of life. Only operators miss one that fails. */
  const giveSignOfLife = async (write: () => Promise<void> | undefined) => {
    try {
      await write();
    } catch (cause) {
      failed("write the row of this worker", cause);
    }
  };
  const leases = createLeaseKeeper<QueuedJob>({
    leaseMs,
    renew: async (jobs) => {
      const queue = await started();
      const names = new Set(jobs.map((job) => job.queue));
      const lost = [...names].map((name) =>
        queue.renew(
          name,
          jobs.filter((job) => job.queue === name),
        ),
      );
      void giveSignOfLife(() => workerRow?.renew());
      return (await Promise.all(lost)).flat();
    },
    onLost: ({ name, queue }) =>
      notifySafely(observer, (to) => to.leaseLost?.({ name, method: queue })),
    onFailed: (cause) => failed("renew", cause),
    onStalled(stalledMs, jobs) {
      const event = { stalledMs, leaseMs, names: jobs.map(({ name }) => name) };
      if (observer?.eventLoopStalled === undefined) logToConsole(stalledLine(event));
      notifySafely(observer, (to) => to.eventLoopStalled?.(event));
      workerRow?.noteLosses(
        event.names,
        "event-loop-stalled",
        `${(stalledMs / 1000).toFixed(1)} s of a lease of ${heartbeatSeconds} s`,
      );
    },
    onUnrenewed(jobs) {
      const names = jobs.map(({ name }) => name);
      workerRow?.noteLosses(names, "database-unreachable", "");
    },
    clock,
    monotonicMs: () => performance.now(),
  });

  /** The next method in turn that may have something. */
  const nextDue = (): [method: string, served: ServedMethod] | undefined => {
    for (const [method, served] of methods) {
      if (!served.isDue || served.running >= served.maxConcurrent) continue;
      // The method moves to the end of the line, so that a busy method does not delay the others.
      methods.delete(method);
      methods.set(method, served);
      return [method, served];
    }
    return undefined;
  };

  /** Fetches jobs while there is room for them. */
  const fetchDue = () => {
    fetching ??= fetchWhileDue().finally(() => {
      fetching = undefined;
    });
  };

  const fetchWhileDue = async (): Promise<void> => {
    while (stopping === undefined && underWay.size < maxConcurrent) {
      const next = nextDue();
      if (next === undefined) return;
      await fetchFrom(...next);
    }
  };

  const fetchFrom = async (method: string, served: ServedMethod): Promise<void> => {
    // The flag is reset before the fetch, so that a notification during the fetch is not lost.
    served.isDue = false;
    const free = Math.min(maxConcurrent - underWay.size, served.maxConcurrent - served.running);
    const limit = Math.min(free, maxFetched);
    try {
      const queue = await queueOf(method);
      const sentAtMs = performance.now();
      const jobs = await fetchInTurn(queue, method, served, limit);
      if (jobs.length === limit) served.isDue = true;
      for (const job of jobs) begin(job, served, sentAtMs);
    } catch (cause) {
      // The next poll tries again.
      failed(`fetch ${method}`, cause);
    }
  };

  const fetchInTurn = async (
    queue: PgBossQueue,
    method: string,
    { servedTenants }: ServedMethod,
    limit: number,
  ): Promise<QueuedJob[]> => {
    let jobs = await queue.fetch(method, limit, [...servedTenants], poolExecutor);
    if (jobs.length === 0 && servedTenants.size > 0) {
      // No other tenant waits, so a new round begins.
      servedTenants.clear();
      jobs = await queue.fetch(method, limit, [], poolExecutor);
    }
    if (servedTenants.size > maxServedTenants) servedTenants.clear();
    for (const { tenant } of jobs) if (tenant !== "") servedTenants.add(tenant);
    return jobs;
  };

  const begin = (job: QueuedJob, served: ServedMethod, sentAtMs: number) => {
    const { name, queue: method, retryCount } = job;
    if (retryCount > 0) {
      notifySafely(observer, (to) => to.recovered?.({ name, method, deliveries: retryCount + 1 }));
    }
    const lease = leases.keep(job, sentAtMs);
    served.running += 1;
    const run = stopping === undefined ? served.run : handOver;
    const delivered = deliver(lease, run).finally(() => {
      lease.end();
      served.running -= 1;
      underWay.delete(delivered);
      fetchDue();
    });
    underWay.add(delivered);
  };

  const deliver = async (lease: Lease<QueuedJob>, run: ServedMethod["run"]): Promise<void> => {
    const { key: job, signal } = lease;
    let settlement: Settlement;
    try {
      settlement = await run({
        name: job.name,
        method: job.queue,
        get signal() {
          return lease.signal;
        },
      });
    } catch (cause) {
      failed(`run ${job.name}`, cause);
      settlement = { kind: "retry", delayMs: retryDelayMs };
    }
    // A lost delivery must not be settled. Otherwise a process that gave up a little early would
    // take the operation from the process that gets it next.
    while (!lease.signal.aborted) {
      try {
        if (!(await settle(job, settlement))) {
          notifySafely(observer, (to) => to.leaseLost?.({ name: job.name, method: job.queue }));
        }
        return;
      } catch (cause) {
        failed(`settle ${job.name}`, cause);
        await sleep(clock, retryDelayMs, signal).catch(() => undefined);
      }
    }
  };

  /** Resolves with false if the delivery is lost. */
  const settle = async (job: QueuedJob, settlement: Settlement): Promise<boolean> => {
    const queue = await started();
    if (settlement.kind === "settled") return removals.add(job);
    const delayMs = "delayMs" in settlement ? settlement.delayMs : 0;
    return database.transaction(async (transaction) => {
      // The operation gets a new job, because pg-boss would count a failed job as a retry and delay
      // it by pg-boss's rules.
      if ((await queue.remove(job.queue, [job], transaction)).length > 0) return false;
      const { name, tenant } = job;
      await enqueue(job.queue, [{ name, tenant, delayMs }], transaction);
      return true;
    });
  };

  /** Ends jobs. The result is false for each job that is no longer held. */
  const removals = createBatcher<QueuedJob, boolean>({
    clock,
    run: async (jobs) => {
      const queue = await started();
      const methodsOfJobs = new Set(jobs.map((job) => job.queue));
      const kept = await Promise.all(
        [...methodsOfJobs].map((method) =>
          queue.remove(
            method,
            jobs.filter((job) => job.queue === method),
            poolExecutor,
          ),
        ),
      );
      const lost = new Set(kept.flat());
      return jobs.map((job) => !lost.has(job));
    },
  });

  const closeQueue = async () => {
    const queue = await starting?.catch(() => undefined);
    await Promise.allSettled([queue?.stop(), notifier?.close(), isPolling && workerRow?.stop()]);
  };

  const enqueue = async (
    method: string,
    jobs: readonly NewJob[],
    transaction: Transaction | undefined,
  ) => {
    const queue = await queueOf(method);
    await queue.send(method, jobs, transaction ?? poolExecutor);
    if (jobs.some(({ delayMs }) => delayMs === 0)) await notifier?.notify(method, { transaction });
    for (const { delayMs } of jobs) if (delayMs > 0) wakeLater(method, delayMs);
  };

  /** A delay that is shorter than the time to the next poll would last until that. */
  const wakeLater = (method: string, delayMs: number) => {
    if (delayMs >= pollIntervalMs || pollStopped.signal.aborted) return;
    const unschedule = clock.schedule(delayMs, () => {
      delayedWakes.delete(unschedule);
      wake(method);
    });
    delayedWakes.add(unschedule);
  };

  const poolExecutor = {
    executeSql: (text: string, values: unknown[]) => pool.query(text, values),
  };

  const wake = (method: string) => {
    const served = methods.get(method);
    if (served === undefined) return;
    served.isDue = true;
    fetchDue();
  };

  const wakeAll = () => {
    for (const served of methods.values()) served.isDue = true;
    fetchDue();
  };

  const reconcile =
    options.operationsSchema === undefined
      ? undefined
      : createReconciler({
          database,
          operationsSchema: schemaName(options.operationsSchema),
          queueSchema: schema,
          dispatch: (operations, transaction) => dispatchAll(operations, transaction),
        });

  const reconcileOnce = async (by: NonNullable<typeof reconcile>) => {
    try {
      await started();
      for (const { name, method } of await by([...methods.keys()])) {
        if (observer?.requeued === undefined) logToConsole(requeuedLine(name));
        notifySafely(observer, (to) => to.requeued?.({ name, method }));
      }
    } catch (cause) {
      failed("reconcile", cause);
    }
  };

  const keepReconciling = async () => {
    while (reconcile !== undefined && !pollStopped.signal.aborted) {
      await spreadSleep(reconcileIntervalMs);
      if (!pollStopped.signal.aborted) await reconcileOnce(reconcile);
    }
  };

  /** Sleeps about as long, so that replicas do not all send a statement at the same moment. */
  const spreadSleep = (delayMs: number) =>
    sleep(clock, delayMs * (0.8 + 0.4 * Math.random()), pollStopped.signal).catch(() => undefined);

  const dispatchAll = async (
    operations: readonly DispatchedOperation[],
    transaction: Transaction | undefined,
  ) => {
    const jobsOf = new Map<string, NewJob[]>();
    for (const { name, method, tenant = "" } of operations) {
      const jobs = jobsOf.get(method) ?? [];
      jobsOf.set(method, jobs);
      jobs.push({ name, tenant, delayMs: 0 });
    }
    const enqueueAll = async (within: Transaction | undefined) => {
      for (const [method, jobs] of jobsOf) await enqueue(method, jobs, within);
    };
    // Jobs of several queues take several statements, so they need a transaction.
    if (transaction !== undefined || jobsOf.size < 2) return enqueueAll(transaction);
    for (const method of jobsOf.keys()) await queueOf(method);
    return database.transaction(enqueueAll);
  };

  const pollOnce = async () => {
    try {
      const queue = await started();
      await giveSignOfLife(() => workerRow?.renewIfDue());
      for (const news of await queue.poll([...methods.keys()], poolExecutor)) {
        if (news.isLost) await queue.requeueLost(news.queue);
        wake(news.queue);
      }
    } catch (cause) {
      failed("poll", cause);
    }
  };

  const poll = async () => {
    wakeAll();
    await options.listener?.listen(channel, { notified: wake, missed: wakeAll });
    wakeAll();
    while (!pollStopped.signal.aborted) {
      await pollOnce();
      await spreadSleep(pollIntervalMs);
    }
  };

  return {
    isDurable: true,
    async prepare(method) {
      try {
        await queueOf(method);
      } catch (cause) {
        throw databaseError(cause);
      }
    },
    async dispatch(operations, { transaction } = {}) {
      try {
        await dispatchAll(operations, transaction);
      } catch (cause) {
        throw databaseError(cause);
      }
    },
    serve(method, run, { maxConcurrent: ofMethod } = {}) {
      notifySafely(observer, (to) => to.serving?.({ method }));
      methods.set(method, {
        run,
        maxConcurrent: atLeastOne("maxConcurrent", ofMethod ?? maxConcurrent),
        running: 0,
        isDue: true,
        servedTenants: new Set(),
      });
      if (isPolling) fetchDue();
      else {
        void poll();
        void keepReconciling();
      }
      isPolling = true;
    },
    async depths() {
      try {
        return await (await started()).depths(poolExecutor);
      } catch (cause) {
        throw databaseError(cause);
      }
    },
    stop() {
      stopping ??= (async () => {
        pollStopped.abort();
        for (const unschedule of delayedWakes) unschedule();
        delayedWakes.clear();
        // A fetch that is still running puts its jobs back into the queue.
        await fetching;
        await Promise.all(underWay);
        await closeQueue();
      })();
      return stopping;
    },
    abandon() {
      pollStopped.abort();
      leases.abandon();
      void closeQueue();
    },
  };
}
