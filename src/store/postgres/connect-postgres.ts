import { notifySafely } from "../../internal/notify-safely.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import type { CountingStore } from "../operation-counts.js";
import type { Signals } from "../signals.js";
import { createWorkerIdentity } from "../worker-identity.js";
import { closedInTime, destroyConnection } from "./close-limit.js";
import { assertMigrated, migrate } from "./migrate.js";
import { createNotificationListener } from "./notification-listener.js";
import { createPgBossDispatcher, type PgBossDispatcher } from "./pg-boss-dispatcher.js";
import { packageMissing } from "./postgres-errors.js";
import type { PostgresObserver } from "./postgres-observer.js";
import type { PostgresClient } from "./postgres-pool.js";
import { createPostgresSignals } from "./postgres-signals.js";
import { createPostgresStore } from "./postgres-store.js";
import { withPreparedStatements } from "./prepared-statements.js";
import { schemaName } from "./schema-name.js";

/** The connection, the schemas and the limits of operations in a PostgreSQL database. */
export interface ConnectPostgresOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`, as `pg` reads it. */
  connectionString: string;
  /**
   * For the one connection that listens: past a pooler in transaction mode, which loses
   * what is listened to. Default: `connectionString`.
   */
  listenConnectionString?: string | undefined;
  /** Schema of the operations. Default: `longrunning`. */
  schema?: string | undefined;
  /** pg-boss's schema. Default: that of the operations with `_queue` behind it. */
  queueSchema?: string | undefined;
  /**
   * False: both schemas were migrated by other means (`migrationScript`, pg-boss's own
   * command). Default: true.
   */
  migrate?: boolean | undefined;
  /**
   * The most connections of this process, without the listening one, at least 3. Two of them are
   * reserved for the maintenance of the queue. Default: 20.
   */
  maxConnections?: number | undefined;
  /** How many operations run side by side in this process, at least 1. Default: 100. */
  maxConcurrent?: number | undefined;
  /**
   * How long after its last renewal a process loses the operations that it runs, in whole seconds,
   * at least 10. Raise it for work that blocks the event loop. Default: 10.
   */
  leaseSeconds?: number | undefined;
  /**
   * False: neither LISTEN nor NOTIFY, for poolers in transaction mode. Everything works by
   * polling then, only slower. Default: true.
   */
  notify?: boolean | undefined;
  /**
   * Whether statements are prepared. Poolers in transaction mode may not keep them. Default: true,
   * unless `notify` is false or `listenConnectionString` is set, which a pooler needs.
   */
  prepareStatements?: boolean | undefined;
  /**
   * How often a waiter reads its operation without a signal, in milliseconds, at least 1.
   * Default: 5000.
   */
  pollIntervalMs?: number | undefined;
  /** How often each process looks for operations whose job is gone, in milliseconds, at least 1. Default: 60,000. */
  reconcileIntervalMs?: number | undefined;
  observer?: PostgresObserver | undefined;
}

/** Parts of the options of `createOperations`. */
export interface PostgresParts {
  readonly store: CountingStore;
  readonly dispatcher: PgBossDispatcher;
  readonly signals: Signals;
}

/** How long a connection may take, and a statement on both sides, in milliseconds. */
const connectionTimeoutMillis = 5000;
const statementTimeoutMs = 60_000;

/** Sets the limit of statements on a new connection. */
function limitStatements(client: PostgresClient, done: (cause?: Error) => void): void {
  client.query(`set statement_timeout = ${statementTimeoutMs}`, []).then(() => done(), done);
}

/**
 * How many connections are reserved for leases and queues, because a transaction on another
 * connection may wait for these. Two, so that no lease waits for a long statement.
 */
const maintenanceConnections = 2;

/**
 * Keeps and runs operations in a PostgreSQL database (14 or newer). Any number of processes can
 * share it:
 *
 *     const operations = createOperations({
 *       ...(await connectPostgres({ connectionString })),
 *       pageTokenKey, // the same in all processes
 *     });
 *
 * Migrates the schemas first. `operations.shutdown()` closes all of it.
 *
 * @throws RangeError for an option out of its bounds; ConnectError `Unavailable` where the database
 * cannot be reached, `Internal` where it refuses a statement or where `pg` or `pg-boss` is not
 * installed.
 * @example
 * const parts = await connectPostgres({ connectionString: "postgres://localhost/app" });
 * const operations = createOperations({ ...parts, pageTokenKey });
 */
export async function connectPostgres(options: ConnectPostgresOptions): Promise<PostgresParts> {
  const { connectionString, observer } = options;
  const schema = schemaName(options.schema ?? "longrunning");
  const queueSchema = schemaName(options.queueSchema ?? `${schema}_queue`);
  const max = atLeastOne("maxConnections", options.maxConnections ?? 20);
  if (max < 3) throw new RangeError(`maxConnections must be at least 3, not ${max}`);
  const notify = options.notify ?? true;
  const { default: pg } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "pg").catch(
    (cause: unknown) => {
      throw packageMissing("pg", cause);
    },
  );
  const open = new Set<object>();
  /** Knows all connections, including those that are not ready yet: `close` destroys the last ones. */
  class TrackedClient extends pg.Client {
    constructor(config?: string | import("pg").ClientConfig) {
      super(config);
      open.add(this);
      this.once("end", () => open.delete(this));
    }
  }
  const common = {
    Client: TrackedClient,
    connectionString,
    connectionTimeoutMillis,
    keepAlive: true,
    application_name: "connect-longrunning",
  };

  if (options.migrate ?? true) {
    // Migrations have their own pool, because creating an index may take longer than any other
    // statement.
    const migrator = new pg.Pool({ ...common, max: 1 });
    try {
      await migrate(migrator, { schema });
    } finally {
      await migrator.end();
    }
  }

  const isPooled = !notify || options.listenConnectionString !== undefined;
  const poolOf = (connections: number) =>
    new pg.Pool({
      ...common,
      max: connections,
      query_timeout: statementTimeoutMs + connectionTimeoutMillis,
      // The limit is not a start-up parameter, because PgBouncer refuses it. Behind a pooler, other
      // clients use the session too, so no limit is set in the session. Then only `query_timeout`
      // limits a statement, in this process, unless the role has a `statement_timeout`.
      verify: isPooled ? undefined : limitStatements,
    });
  const statementPool = poolOf(max - maintenanceConnections);
  const isPrepared = options.prepareStatements ?? !isPooled;
  const pool = isPrepared ? withPreparedStatements(statementPool) : statementPool;
  const maintenancePool = poolOf(maintenanceConnections);
  const usage = () => {
    const pools = [statementPool, maintenancePool];
    const sum = (of: (each: typeof statementPool) => number) =>
      pools.reduce((total, each) => total + of(each), 0);
    return {
      inUse: sum(({ totalCount, idleCount }) => totalCount - idleCount),
      waiting: sum(({ waitingCount }) => waitingCount),
    };
  };
  const disconnected = notifySafely(observer, (to) => to.connected?.(usage));
  const endPools = async () => {
    notifySafely(disconnected, (call) => call());
    await closedInTime([statementPool.end(), maintenancePool.end()]);
    for (const client of open) destroyConnection(client);
  };
  const undo: (() => Promise<void>)[] = [endPools];
  try {
    if (options.migrate === false) await assertMigrated(pool, schema);
    const listener = notify
      ? createNotificationListener({
          newClient: () =>
            new TrackedClient({
              ...common,
              connectionString: options.listenConnectionString ?? connectionString,
              application_name: "connect-longrunning-listen",
            }),
          observer,
        })
      : undefined;
    const worker = await createWorkerIdentity();
    const dispatcher = createPgBossDispatcher({
      pool,
      worker,
      maintenancePool,
      listener,
      schema: queueSchema,
      operationsSchema: schema,
      reconcileIntervalMs: options.reconcileIntervalMs,
      migrate: options.migrate,
      maxConcurrent: options.maxConcurrent,
      leaseSeconds: options.leaseSeconds,
      notify,
      observer,
    });
    undo.unshift(() => dispatcher.stop());
    const signals = createPostgresSignals({
      pool,
      listener,
      schema,
      pollIntervalMs: options.pollIntervalMs,
      notify,
      observer,
    });
    const onClose = async () => {
      // The signals close before the pool, because they may still have notifications to send.
      await signals.close();
      await endPools();
    };
    const store = createPostgresStore({ pool, schema, observer, worker: worker.id, onClose });
    // The call sets up pg-boss, so that an error appears at this point and not at the first start.
    await dispatcher.depths();
    return { store, dispatcher, signals };
  } catch (cause) {
    for (const step of undo) await step();
    throw cause;
  }
}
