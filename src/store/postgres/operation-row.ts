import type { Database } from "./database.js";

/** The table of operations in one database. */
export interface OperationTable {
  readonly database: Database;
  /** The schema and the table, quoted. */
  readonly table: string;
  /** The columns of row `o` that `recordFromRow` reads. */
  readonly columns: string;
}

/** Columns that are read as they are. */
const plainColumns = [
  "name",
  "parent",
  "method",
  "principal",
  "external",
  "state",
  "attempt",
  "handovers",
  "losses",
  "request",
  "metadata",
  "checkpoint",
  "result_kind",
  "result",
  "retention_ms",
  "deadline_ms",
  "resource_key",
  "request_scope",
  "request_id",
  "request_fingerprint",
  "request_window_ms",
  "traceparent",
  "tracestate",
];

/** Columns that are read in microseconds, which a JavaScript Date would lose. */
const timeColumns = [
  "create_time",
  "update_time",
  "deadline_time",
  "cancel_request_time",
  "end_time",
  "expire_time",
  "delete_time",
];

/** Returns the columns of row `o` that `recordFromRow` reads. `schema` is quoted. */
export function operationColumns(schema: string): string {
  const plain = plainColumns.map((column) => `o.${column}`);
  const times = timeColumns.map((column) => `${schema}.micros(o.${column}) as ${column}`);
  return [...plain, ...times].join(", ");
}
