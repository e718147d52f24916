export type {
  CountingStore,
  LostAttempts,
  OpenOperations,
  OperationCounts,
} from "../operation-counts.js";
export type {
  OpenSqlite,
  SqliteConnection,
  SqliteDriver,
  SqliteStatement,
  SqliteValue,
} from "./sqlite-driver.js";
export { createSqliteStore, type SqliteStoreOptions } from "./sqlite-store.js";
