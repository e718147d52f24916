/** What a statement can be given. */
export type SqliteValue = null | number | bigint | string | Uint8Array;

/** A prepared statement. Its parameters are `?`, in their order. */
export interface SqliteStatement {
  /** Run it, and give its rows by column; none where it is no query. */
  all(...values: SqliteValue[]): unknown[];
  /** Run it; `changes` is the number of rows that it wrote. */
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
}

/**
 * One connection, in the smallest form that drivers with synchronous calls have:
 * `DatabaseSync` of node:sqlite has it as it is. What a call throws should have the
 * result code of SQLite as its `errcode` or `rawCode`.
 */
export interface SqliteConnection {
  /** Run statements that have no parameters. */
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): unknown;
}

/** Opens the database file at this path, and makes it where there is none. */
export type OpenSqlite = (path: string) => SqliteConnection;

/**
 * The way to SQLite: the module `node:sqlite` (from Node 22.13), the package `libsql`, or
 * a function that opens any other.
 */
export type SqliteDriver = "node:sqlite" | "libsql" | OpenSqlite;
