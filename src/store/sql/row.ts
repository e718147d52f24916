import { lastTimeMicros } from "../store-time.js";

/** A row, as drivers give it: by column. */
export type Row = Readonly<Record<string, unknown>>;

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null;
}

/** @throws TypeError if the column holds no text. */
export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw unexpected(column, "text", value);
  return value;
}

export function optionalTextOf(row: Row, column: string): string | undefined {
  return isNull(row[column]) ? undefined : textOf(row, column);
}

/**
 * Returns a number from a 64-bit integer, which drivers return as text, as a bigint or as a number.
 *
 * @throws TypeError if the column holds no number.
 */
export function numberOf(row: Row, column: string): number {
  const value = row[column];
  const isNumeric = typeof value === "number" || typeof value === "bigint";
  const number = isNumeric || typeof value === "string" ? Number(value) : Number.NaN;
  if (Number.isNaN(number)) throw unexpected(column, "a number", value);
  return number;
}

export function optionalNumberOf(row: Row, column: string): number | undefined {
  return isNull(row[column]) ? undefined : numberOf(row, column);
}

/**
 * Returns a time in microseconds. From the year 2255 on, a number is not exact, so the result is
 * the last exact time.
 *
 * @throws TypeError if the column holds no number.
 */
export function timeOf(row: Row, column: string): number {
  return Math.min(numberOf(row, column), lastTimeMicros);
}

export function optionalTimeOf(row: Row, column: string): number | undefined {
  return isNull(row[column]) ? undefined : timeOf(row, column);
}

/**
 * Returns a boolean. SQLite has no booleans, so its drivers return 0 and 1.
 *
 * @throws TypeError if the column holds no truth value.
 */
export function booleanOf(row: Row, column: string): boolean {
  const value = row[column];
  if (typeof value === "boolean") return value;
  if (value !== 0 && value !== 1) throw unexpected(column, "true or false", value);
  return value === 1;
}

/** @throws TypeError if the column holds no bytes. */
export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (!(value instanceof Uint8Array)) throw unexpected(column, "bytes", value);
  // The function returns a plain Uint8Array, because the `slice` of Node's Buffer shares memory.
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

export function optionalBytesOf(row: Row, column: string): Uint8Array | undefined {
  return isNull(row[column]) ? undefined : bytesOf(row, column);
}

function isNull(value: unknown): boolean {
  return value === null || value === undefined;
}

function unexpected(column: string, expected: string, value: unknown): TypeError {
  return new TypeError(`column ${column}: expected ${expected}, but it is ${typeof value}`);
}
