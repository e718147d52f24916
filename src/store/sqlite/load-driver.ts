import type { OpenSqlite, SqliteConnection, SqliteDriver, SqliteValue } from "./sqlite-driver.js";
import { driverMissing } from "./sqlite-errors.js";

/** Constructors of drivers, as far as they are used here. */
type DatabaseClass = new (path: string) => SqliteConnection;

/** The package's: it takes one value that is bytes or null for an object of named ones. */
type LibsqlClass = new (
  path: string,
) => {
  exec(sql: string): unknown;
  prepare(sql: string): {
    all(values: readonly SqliteValue[]): unknown[];
    run(values: readonly SqliteValue[]): { readonly changes: number };
  };
  close(): unknown;
};

/**
 * How to open a file. Default: node:sqlite if this version of Node has it, otherwise libsql.
 *
 * @throws Error that names what to install, if it is not there.
 */
export async function loadDriver(driver: SqliteDriver | undefined): Promise<OpenSqlite> {
  if (typeof driver === "function") return driver;
  if (driver === "node:sqlite") return loadNodeSqlite();
  if (driver === "libsql") return loadLibsql();
  try {
    return await loadNodeSqlite();
  } catch {
    return loadLibsql();
  }
}

async function loadNodeSqlite(): Promise<OpenSqlite> {
  const { DatabaseSync } = await load("node:sqlite");
  if (!isDatabaseClass(DatabaseSync)) throw driverMissing(undefined);
  return (path) => new DatabaseSync(path);
}

async function loadLibsql(): Promise<OpenSqlite> {
  const { default: Database } = await load("libsql");
  if (!isLibsqlClass(Database)) throw driverMissing(undefined);
  return (path) => {
    const database = new Database(path);
    return {
      exec: (sql) => database.exec(sql),
      prepare(sql) {
        const statement = database.prepare(sql);
        return {
          all: (...values) => statement.all(values),
          run: (...values) => statement.run(values),
        };
      },
      close: () => database.close(),
    };
  };
}

/** Imports a module by a name that is not a literal, so that bundlers and type checkers do not require it. */
async function load(name: string): Promise<Record<string, unknown>> {
  try {
    return await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  } catch (cause) {
    throw driverMissing(cause);
  }
}

function isDatabaseClass(value: unknown): value is DatabaseClass {
  return typeof value === "function";
}

function isLibsqlClass(value: unknown): value is LibsqlClass {
  return typeof value === "function";
}
