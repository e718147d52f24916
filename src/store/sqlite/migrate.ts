import { type AppliedMigration, mayRunOn } from "../sql/applied-migrations.js";
import { isRow, numberOf, textOf } from "../sql/row.js";
import { operationsTable } from "./migration-001-operations.js";
import { principalIndexes } from "./migration-002-principals.js";
import { owners } from "./migration-003-owners.js";
import type { SqliteConnection } from "./sqlite-driver.js";
import { databaseForeign, databaseTooNew } from "./sqlite-errors.js";

/** One step to the next version of the schema. */
interface Migration extends AppliedMigration {
  readonly sql: string;
}

/** Each step from one version to the next. A released one is never changed. */
const migrations: readonly Migration[] = [
  { version: 1, oldestProgram: 1, sql: operationsTable },
  { version: 2, oldestProgram: 1, sql: principalIndexes },
  { version: 3, oldestProgram: 1, sql: owners },
];

/** The schema version of this program. */
const programVersion = migrations.length;

/** The steps that were taken. Files of version 1 do not have it. */
const migrationsTable = `create table if not exists operations_migrations (
  version integer primary key,
  oldest_program integer not null
) strict`;

/** `LROP`: tells the files of this package from other databases (PRAGMA application_id). */
const applicationId = 0x4c524f50;

/**
 * Refuses a foreign file before anything in it changes. A file is foreign if another program wrote
 * it, or if a newer version of this package made it incompatible with this version.
 *
 * @throws ConnectError `FailedPrecondition`.
 */
export function assertApplicationId(connection: SqliteConnection, path: string): void {
  const owner = pragma(connection, "application_id");
  const version = pragma(connection, "user_version");
  if (owner !== applicationId) {
    const [table] = connection.prepare("select name from sqlite_schema limit 1").all();
    if (isRow(table)) throw databaseForeign(path, `the table ${textOf(table, "name")}`);
    if (owner !== 0 || version !== 0) throw databaseForeign(path, `application id ${owner}`);
  }
  if (version > programVersion && !mayRunOn(appliedTo(connection, version), programVersion)) {
    throw databaseTooNew(path, version, programVersion);
  }
}

/** Migrates the schema of a file to `programVersion` in one transaction. A newer schema stays as it is. */
export function migrate(connection: SqliteConnection): void {
  const version = pragma(connection, "user_version");
  if (version >= programVersion) return;
  connection.exec("begin immediate");
  try {
    for (const { sql } of migrations.slice(version)) connection.exec(sql);
    connection.exec(migrationsTable);
    const note = connection.prepare("insert or ignore into operations_migrations values (?, ?)");
    for (const step of migrations) note.run(step.version, step.oldestProgram);
    connection.exec(`pragma application_id = ${applicationId}`);
    connection.exec(`pragma user_version = ${programVersion}`);
    connection.exec("commit");
  } catch (cause) {
    connection.exec("rollback");
    throw cause;
  }
}

/** The steps that a newer program has taken. The last of them is as it says, or not known to be safe. */
function appliedTo(connection: SqliteConnection, version: number): readonly AppliedMigration[] {
  const last = { version, oldestProgram: version };
  const tables = connection
    .prepare("select name from sqlite_schema where name = 'operations_migrations'")
    .all();
  if (tables.length === 0) return [last];
  const noted = connection
    .prepare("select version, oldest_program from operations_migrations")
    .all()
    .filter(isRow)
    .map((row) => ({
      version: numberOf(row, "version"),
      oldestProgram: numberOf(row, "oldest_program"),
    }));
  return noted.some((step) => step.version === version) ? noted : [...noted, last];
}

function pragma(connection: SqliteConnection, name: string): number {
  const [row] = connection.prepare(`pragma ${name}`).all();
  return isRow(row) ? numberOf(row, name) : 0;
}
