import { operationsTable } from "./migration-001-operations.js";
import { defaultSchema, schemaName } from "./schema-name.js";

/** One step from one version of the schema to the next. */
export interface Migration {
  /** 1 for the first, and each one more than the one before it. */
  readonly version: number;
  readonly name: string;
  /** Its statements, to be run in one transaction. */
  readonly sql: string;
}

/** Which schema is meant. */
export interface SchemaOptions {
  /** Default: `longrunning`. */
  schema?: string | undefined;
}

/** What every step is made by; a released one is never changed, only followed by another. */
const steps: readonly { name: string; sql: (schema: string) => string }[] = [
  { name: "operations", sql: operationsTable },
];

/**
 * All steps to the schema of this version, in their order.
 *
 * @throws RangeError for a name that no schema can have here.
 */
export function migrations(options: SchemaOptions = {}): Migration[] {
  const schema = `"${schemaName(options.schema ?? defaultSchema)}"`;
  return steps.map(({ name, sql }, at) => ({ version: at + 1, name, sql: sql(schema) }));
}

/** What keeps two from migrating at once: held to the end of the transaction. */
export function migrationLock(schema: string): string {
  return `select pg_advisory_xact_lock(hashtextextended('connect-longrunning migrate ${schema}', 0))`;
}

/** The table that notes which steps were taken. */
export function migrationsTable(schema: string): string {
  return `create table if not exists "${schema}".migrations (
  version integer primary key,
  name text not null,
  apply_time timestamptz not null default clock_timestamp()
)`;
}

/**
 * The whole way from version `from` (default: 0, an empty database) to this one as one
 * script, for whoever does not let programs change a schema. What it does is what
 * `migrate` does.
 *
 * @throws RangeError for a name that no schema can have here.
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
  for (const { version, name, sql } of migrations({ schema })) {
    if (version <= from) continue;
    parts.push(
      `-- ${version}: ${name}`,
      sql.trim(),
      `insert into "${schema}".migrations (version, name) values (${version}, '${name}');`,
    );
  }
  return `${[...parts, "commit;"].join("\n\n")}\n`;
}
