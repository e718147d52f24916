import { operationsTable } from "./migration-001-operations.js";
import { principalIndexes } from "./migration-002-principals.js";
import { owners } from "./migration-003-owners.js";
import { defaultSchema, schemaName } from "./schema-name.js";

/** One step from one version of the schema to the next. */
export interface Migration {
  /** 1 for the first, and each one more than the one before it. */
  readonly version: number;
  readonly name: string;
  /** Its statements, to be run in one transaction. */
  readonly sql: string;
  /**
   * The oldest program that may still run on a schema with this step, by the version that it
   * migrates to. An additive step keeps that of the step before.
   */
  readonly oldestVersion: number;
}

/** The schema of the operations. */
export interface SchemaOptions {
  /** Default: `longrunning`. */
  schema?: string | undefined;
}

interface Step {
  readonly name: string;
  readonly sql: (schema: string) => string;
  readonly oldestVersion: number;
}

/** All steps. A released one is never changed, only followed by another. */
const steps: readonly Step[] = [
  { name: "operations", sql: operationsTable, oldestVersion: 1 },
  { name: "principals", sql: principalIndexes, oldestVersion: 1 },
  { name: "owners", sql: owners, oldestVersion: 1 },
];

/** The version of the schema that this program migrates to. */
export const knownVersion = steps.length;

/**
 * Returns all steps to the schema of this version, in their order.
 *
 * @throws RangeError if `schema` is not a name that schemas can have here.
 */
export function migrations(options: SchemaOptions = {}): Migration[] {
  const schema = `"${schemaName(options.schema ?? defaultSchema)}"`;
  return steps.map(({ name, sql, oldestVersion }, at) => ({
    version: at + 1,
    name,
    sql: sql(schema),
    oldestVersion,
  }));
}

/**
 * Returns the lock that lets one process migrate at a time. It is held until the end of the
 * transaction.
 */
export function migrationLock(schema: string): string {
  return `select pg_advisory_xact_lock(hashtextextended('connect-longrunning migrate ${schema}', 0))`;
}

/** Returns the SQL of the table that notes which steps were taken. */
export function migrationsTable(schema: string): string {
  return `create table if not exists "${schema}".migrations (
  version integer primary key,
  name text not null,
  apply_time timestamptz not null default clock_timestamp()
)`;
}

/** Returns the statement that records a migration. */
export function migrationNote(schema: string, migration: Migration): string {
  const { version, name, oldestVersion } = migration;
  // The column `oldest_version` does not exist before step 2.
  return version === 1
    ? `insert into "${schema}".migrations (version, name) values (1, '${name}')`
    : `insert into "${schema}".migrations (version, name, oldest_version)
  values (${version}, '${name}', ${oldestVersion})`;
}

/**
 * Returns the steps from version `from` to this one as a script, for operators who do not let
 * programs change a schema. It has the effect of `migrate`. Default: 0, an empty database.
 *
 * @throws RangeError if `schema` is not a name that schemas can have here.
 */
export function migrationScript(
  options: SchemaOptions & { from?: number | undefined } = {},
): string {
  const schema = schemaName(options.schema ?? defaultSchema);
  const from = options.from ?? 0;
  const parts = [
    "begin;",
    `${migrationLock(schema)};`,
    `create schema if not exists "${schema}";`,
    `${migrationsTable(schema)};`,
  ];
  for (const migration of migrations({ schema })) {
    const { version, name, sql } = migration;
    if (version <= from) continue;
    parts.push(`-- ${version}: ${name}`, sql.trim(), `${migrationNote(schema, migration)};`);
  }
  return `${[...parts, "commit;"].join("\n\n")}\n`;
}
