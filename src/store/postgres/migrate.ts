import { ConnectError } from "@connectrpc/connect";
import { numberOf, optionalNumberOf, type Row } from "../sql/row.js";
import { createDatabase } from "./database.js";
import { databaseError, undefinedState } from "./database-error.js";
import {
  knownVersion,
  type Migration,
  migrationLock,
  migrationNote,
  migrations,
  migrationsTable,
} from "./migrations.js";
import { databaseTooNew, schemaTooOld } from "./postgres-errors.js";
import type { PostgresPool } from "./postgres-pool.js";
import { defaultSchema, schemaName } from "./schema-name.js";

/** How long the lock that another migration holds is waited for. */
const lockTimeout = "60s";

type RunStatement = (text: string, values?: readonly unknown[]) => Promise<Row[]>;

/**
 * Migrates the schema of a database to the version of this program, in one transaction.
 * Resolves with the steps that it took. Processes that migrate at the same time do so one after
 * the other.
 *
 * A newer schema is left as it is if its steps allow this program to run on it.
 *
 * @throws ConnectError UNAVAILABLE if the database cannot be reached or another migration takes
 *   longer than a minute.
 * @throws ConnectError FAILED_PRECONDITION, `DATABASE_TOO_NEW`, if a newer step does not allow this
 *   program.
 * @throws ConnectError INTERNAL if the database refuses a statement.
 * @throws RangeError if `schema` is not a name that schemas can have here.
 */
export async function migrate(
  pool: PostgresPool,
  options: { schema?: string | undefined } = {},
): Promise<Migration[]> {
  const schema = schemaName(options.schema ?? defaultSchema);
  const database = createDatabase(pool);
  return database.transaction(async (transaction) => {
    const run: RunStatement = (text, values = []) => database.rows(text, values, { transaction });
    await run(`set local lock_timeout = '${lockTimeout}'`);
    await run(migrationLock(schema));
    // `create schema if not exists` needs the right to create a schema even if it exists.
    const found = await run("select 1 from pg_namespace where nspname = $1", [schema]);
    if (found.length === 0) await run(`create schema "${schema}"`);
    await run(migrationsTable(schema));
    const version = await schemaVersion(schema, run);
    const pending = migrations({ schema }).filter((migration) => migration.version > version);
    for (const migration of pending) {
      // Several statements in one text return no rows.
      await transaction.executeSql(migration.sql, []).catch((cause: unknown) => {
        throw databaseError(cause);
      });
      await run(migrationNote(schema, migration));
    }
    return pending;
  });
}

/**
 * Checks that this program can run on a schema that was migrated by other means.
 *
 * @throws ConnectError INTERNAL, `DATABASE_NOT_MIGRATED`, if steps are missing.
 * @throws ConnectError FAILED_PRECONDITION, `DATABASE_TOO_NEW`, as `migrate` does.
 */
export async function assertMigrated(pool: PostgresPool, schema: string): Promise<void> {
  const database = createDatabase(pool);
  const run: RunStatement = (text, values = []) => database.rows(text, values, undefined);
  const version = await schemaVersion(schema, run).catch((cause: unknown) => {
    // If the table does not exist, no migration has run.
    if (cause instanceof ConnectError && undefinedState(cause.cause) !== undefined) return 0;
    throw cause;
  });
  if (version < knownVersion) throw schemaTooOld(schema, version, knownVersion);
}

/** The version of a schema that this program may run on. */
async function schemaVersion(schema: string, run: RunStatement): Promise<number> {
  // The row is read as JSON, because the column does not exist before step 2.
  const rows = await run(
    `select version, (to_jsonb(m) ->> 'oldest_version')::integer as oldest_version
    from "${schema}".migrations m order by version`,
  );
  for (const row of rows) {
    const oldest = optionalNumberOf(row, "oldest_version") ?? 1;
    if (oldest > knownVersion) throw databaseTooNew(schema, numberOf(row, "version"), knownVersion);
  }
  const last = rows.at(-1);
  return last === undefined ? 0 : numberOf(last, "version");
}
