import { isRow, numberOf, textOf } from "../sql/row.js";
import { operationsTable } from "./migration-001-operations.js";
import type { SqliteConnection } from "./sqlite-driver.js";
import { databaseForeign, databaseTooNew } from "./sqlite-errors.js";

/** What makes each schema version of the one before; the version is the number of those done. */
const migrations: readonly string[] = [operationsTable];

/** `LROP`: tells the files of this package from other databases (PRAGMA application_id). */
const applicationId = 0x4c524f50;

/**
 * Refuse what another program wrote, or a newer version of this one, before anything in it
 * is changed.
 *
 * @throws ConnectError `FailedPrecondition`.
 */
export function assertOurs(connection: SqliteConnection, path: string): void {
  const owner = pragma(connection, "application_id");
  const version = pragma(connection, "user_version");
  if (owner !== applicationId) {
    const [table] = connection.prepare("select name from sqlite_schema limit 1").all();
    if (isRow(table)) throw databaseForeign(path, `the table ${textOf(table, "name")}`);
    if (owner !== 0 || version !== 0) throw databaseForeign(path, `application id ${owner}`);
  }
  if (version > migrations.length) throw databaseTooNew(path, version, migrations.length);
}

/** Bring the schema of our own file to this version, all or nothing. */
export function migrate(connection: SqliteConnection): void {
  const version = pragma(connection, "user_version");
  if (version === migrations.length) return;
  connection.exec("begin immediate");
  try {
    for (const migration of migrations.slice(version)) connection.exec(migration);
    connection.exec(`pragma application_id = ${applicationId}`);
    connection.exec(`pragma user_version = ${migrations.length}`);
    connection.exec("commit");
  } catch (cause) {
    connection.exec("rollback");
    throw cause;
  }
}

function pragma(connection: SqliteConnection, name: string): number {
  const [row] = connection.prepare(`pragma ${name}`).all();
  return isRow(row) ? numberOf(row, name) : 0;
}
