/** The default schema of the tables. */
export const defaultSchema = "longrunning";

/** Longest name of a schema: channels are named after it, within PostgreSQL's 63 bytes. */
const maxSchemaLength = 40;

/**
 * Returns the name of a PostgreSQL schema, which can be quoted without escapes.
 *
 * @throws RangeError unless it has 1 to 40 lower-case ASCII letters, digits and
 *   underscores, the first of them no digit.
 */
export function schemaName(schema: string): string {
  if (schema.length <= maxSchemaLength && /^[a-z_][a-z0-9_]*$/.test(schema)) return schema;
  throw new RangeError(
    `schema must be 1 to ${maxSchemaLength} of a-z, 0-9 and _, no digit first, not "${schema}"`,
  );
}
