/** A value of a statement's parameter. */
export type SqliteValue = null | number | bigint | string | Uint8Array;

/** A prepared statement. Its parameters are `?`, in their order. */
export interface SqliteStatement {
  /** Runs the statement and returns its rows by column; none if it is not a query. */
  all(...values: SqliteValue[]): unknown[];
  /** Run it; `changes` is the number of rows that it wrote. */
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
}

/**
 * One connection of a driver with synchronous calls, with only the members that an adapter needs.
 * `DatabaseSync` of node:sqlite is one. Errors should have the result code of SQLite as `errcode`
 * or `rawCode`.
 */
export interface SqliteConnection {
  /** Run statements that have no parameters. */
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): unknown;
}

/** Opens the database file at this path, and creates it if it does not exist. */
export type OpenSqlite = (path: string) => SqliteConnection;

/**
 * The driver of SQLite: the module `node:sqlite` (from Node 22.13), the package `libsql`, or a
 * function that opens another driver.
 */
export type SqliteDriver = "node:sqlite" | "libsql" | OpenSqlite;
