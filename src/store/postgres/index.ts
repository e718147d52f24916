export type {
  CountingStore,
  LostAttempts,
  OpenOperations,
  OperationCounts,
} from "../operation-counts.js";
export {
  type ConnectPostgresOptions,
  connectPostgres,
  type PostgresParts,
} from "./connect-postgres.js";
export { migrate } from "./migrate.js";
export { type Migration, migrationScript, migrations, type SchemaOptions } from "./migrations.js";
export {
  type ChannelListener,
  createNotificationListener,
  type NotificationListener,
  type NotificationListenerOptions,
} from "./notification-listener.js";
export {
  createPgBossDispatcher,
  type PgBossDispatcher,
  type PgBossDispatcherOptions,
} from "./pg-boss-dispatcher.js";
export type { QueueDepth } from "./pg-boss-queue.js";
export type {
  ConnectionUsage,
  EventLoopStall,
  PostgresObserver,
  StaleWrite,
} from "./postgres-observer.js";
export { createPostgresOperator, type PostgresOperatorOptions } from "./postgres-operator.js";
export type {
  PostgresClient,
  PostgresListenClient,
  PostgresPool,
  QueryResult,
} from "./postgres-pool.js";
export { createPostgresSignals, type PostgresSignalsOptions } from "./postgres-signals.js";
export { createPostgresStore, type PostgresStoreOptions } from "./postgres-store.js";
