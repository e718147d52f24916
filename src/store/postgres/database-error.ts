import { Code, ConnectError } from "@connectrpc/connect";
import {
  connectionRefused,
  databaseFailed,
  databaseUnavailable,
  schemaMissing,
} from "./postgres-errors.js";

/**
 * Classes of SQLSTATE codes that may pass by themselves (PostgreSQL, appendix A):
 * connection exception, transaction rollback, insufficient resources, object not in
 * prerequisite state (a lock timeout), operator intervention, system error.
 */
const passingClasses: ReadonlySet<string> = new Set(["08", "40", "53", "55", "57", "58"]);

/** Classes of refused connections: invalid authorization specification, invalid catalog name. */
const refusedClasses: ReadonlySet<string> = new Set(["28", "3D"]);

/** Single codes that may pass: a server that became a standby, and one that is full. */
const passingStates: ReadonlySet<string> = new Set(["25006", "25P03", "25P04"]);

/** A table, a column, a function or the schema is not there. */
const undefinedStates: ReadonlySet<string> = new Set(["42P01", "42703", "42883", "3F000"]);

/**
 * Returns the ConnectError for a driver's error; a ConnectError is returned as it is. The
 * driver's text stays in this process, as the `cause`.
 */
export function databaseError(cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  const state = sqlState(cause);
  // If the error has no SQLSTATE, the connection failed, not the statement.
  if (state === undefined) return databaseUnavailable(cause);
  if (refusedClasses.has(state.slice(0, 2))) return connectionRefused(state, cause);
  if (passingClasses.has(state.slice(0, 2)) || passingStates.has(state)) {
    return databaseUnavailable(cause);
  }
  return undefinedState(cause) === undefined
    ? databaseFailed(state, cause)
    : schemaMissing(state, cause);
}

/**
 * Returns the SQLSTATE of a driver's error about a missing table, column, function or schema.
 * Returns undefined for other errors.
 */
export function undefinedState(cause: unknown): string | undefined {
  const state = sqlState(cause);
  return state !== undefined && undefinedStates.has(state) ? state : undefined;
}

/**
 * Whether one row may have failed a statement for many, which then wrote nothing; false for a
 * failure of the connection or the database.
 */
export function isRowLevelError(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) return true;
  // These classes include a deadlock, a lock timeout and a prepared statement that the server no
  // longer has.
  const refused = ["40", "55", "26", "42", "0A"];
  return refused.includes(sqlState(error.cause)?.slice(0, 2) ?? "");
}

/** Returns the SQLSTATE of a driver's error; undefined if the error does not have one. */
export function sqlState(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  // An error of the operating system, such as EPIPE, may have a code in the form of a SQLSTATE.
  if ("syscall" in cause) return undefined;
  const { code } = cause;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
