import type { Row } from "../sql/row.js";
import type { SqliteDatabase } from "./sqlite-database.js";
import type { SqliteValue } from "./sqlite-driver.js";

/**
 * The first words of a user's statement: those of all statements that read and write. A statement
 * that begins or ends a transaction would end those of other callers, and after an EXPLAIN libsql
 * refuses the commit.
 */
const allowedStart =
  /^\s*(select|with|values|insert|replace|update|delete|create|drop|alter)(?![a-z0-9_])/i;

/**
 * Runs a statement of the user in the user's transaction.
 *
 * @throws TypeError for a statement that does not belong in a transaction of the store, and
 *   for a value that SQLite has no type for.
 */
export function executeSql(
  database: SqliteDatabase,
  text: string,
  values: readonly unknown[],
): Row[] {
  if (!allowedStart.test(text)) {
    throw new TypeError(
      "a statement here must read or write rows, or make, change or drop a table",
    );
  }
  return database.rows(text, ...values.map(sqliteValue));
}

function sqliteValue(value: unknown, at: number): SqliteValue {
  switch (typeof value) {
    case "number":
    case "bigint":
    case "string":
      return value;
    case "boolean":
      return value ? 1 : 0;
    case "undefined":
      return null;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw new TypeError(`value ${at + 1} must be text, a number, bytes or null`);
  }
}
