import { numberOf } from "../sql/row.js";
import { createDatabase } from "./database.js";
import { databaseError } from "./database-error.js";
import { type Migration, migrationLock, migrations, migrationsTable } from "./migrations.js";
import type { PostgresPool } from "./postgres-pool.js";
import { defaultSchema, schemaName } from "./schema-name.js";

/** How long the lock that another migration holds is waited for. */
const lockTimeout = "60s";

/**
 * Bring the schema of a database to this version, and return the steps that it took: none
 * where it is up to date, or ahead. All of them happen or none; two that migrate at
 * once do it one after the other.
 *
 * @throws ConnectError `Unavailable` where the database cannot be reached or another
 *   migration takes longer than a minute; `Internal` where it refuses a statement.
 *   RangeError for a name that no schema can have here.
 */
export async function migrate(
  pool: PostgresPool,
  options: { schema?: string | undefined } = {},
): Promise<Migration[]> {
  const schema = schemaName(options.schema ?? defaultSchema);
  const database = createDatabase(pool);
  return database.transaction(async (transaction) => {
    const run = (text: string, values: readonly unknown[] = []) =>
      database.rows(text, values, { transaction });
    await run(`set local lock_timeout = '${lockTimeout}'`);
    await run(migrationLock(schema));
    // `create schema if not exists` wants the right to make one, also where it is there.
    const found = await run("select 1 from pg_namespace where nspname = $1", [schema]);
    if (found.length === 0) await run(`create schema "${schema}"`);
    await run(migrationsTable(schema));
    const [applied] = await run(
      `select coalesce(max(version), 0) as version from "${schema}".migrations`,
    );
    const version = applied === undefined ? 0 : numberOf(applied, "version");
    const pending = migrations({ schema }).filter((migration) => migration.version > version);
    for (const migration of pending) {
      // Several statements in one text: there are no rows to read.
      await transaction.executeSql(migration.sql, []).catch((cause: unknown) => {
        throw databaseError(cause);
      });
      await run(`insert into "${schema}".migrations (version, name) values ($1, $2)`, [
        migration.version,
        migration.name,
      ]);
    }
    return pending;
  });
}
