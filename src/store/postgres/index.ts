export { migrate } from "./migrate.js";
export { type Migration, migrationScript, migrations, type SchemaOptions } from "./migrations.js";
export type {
  PostgresClient,
  PostgresListenClient,
  PostgresPool,
  QueryResult,
} from "./postgres-pool.js";
export { createPostgresStore, type PostgresStoreOptions } from "./postgres-store.js";
