import type { Row } from "../sql/row.js";
import type { SqliteDatabase } from "./sqlite-database.js";
import type { SqliteValue } from "./sqlite-driver.js";

/**
 * Run a statement of the user's own in his transaction.
 *
 * @throws TypeError for a value that SQLite has no type for.
 */
export function executeSql(
  database: SqliteDatabase,
  text: string,
  values: readonly unknown[],
): Row[] {
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
