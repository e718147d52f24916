import { Code, ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../../status/error-info.js";

/** When a client may try again that the database did not answer. */
const retryDelayMs = 1000;

/**
 * Classes of SQLSTATE codes that may pass by themselves (PostgreSQL, appendix A):
 * connection exception, transaction rollback, insufficient resources, object not in
 * prerequisite state (a lock timeout), operator intervention, system error.
 */
const passingClasses: ReadonlySet<string> = new Set(["08", "40", "53", "55", "57", "58"]);

/** Single codes that may pass: a server that became a standby, and one that is full. */
const passingStates: ReadonlySet<string> = new Set(["25006", "25P03", "25P04"]);

/** A table, a column, a function or the schema is not there. */
const undefinedStates: ReadonlySet<string> = new Set(["42P01", "42703", "42883", "3F000"]);

/**
 * What a driver threw, as an error of ours: a ConnectError is passed on as it is. What the
 * driver says stays on this side, as the `cause`.
 */
export function databaseError(cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  const state = sqlState(cause);
  // Without a SQLSTATE it is the connection that failed, not the statement.
  if (state === undefined) return databaseUnavailable(cause);
  if (passingClasses.has(state.slice(0, 2)) || passingStates.has(state)) {
    return databaseUnavailable(cause);
  }
  return undefinedStates.has(state) ? schemaMissing(state, cause) : databaseFailed(state, cause);
}

/** The SQLSTATE of what a driver threw; undefined where it has none. */
export function sqlState(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  const { code } = cause;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** UNAVAILABLE for a database that cannot be reached or cannot answer now. */
export function databaseUnavailable(cause?: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, "the database cannot be reached now", {
    reason: "DATABASE_UNAVAILABLE",
    details: [retryDetail(retryDelayMs)],
    cause,
  });
}

/** ABORTED for a start that met others at the same moment too often; it may be tried again. */
export function startContended(): ConnectError {
  return errorWithInfo(Code.Aborted, "other starts came in between; try again", {
    reason: "START_CONTENDED",
    details: [retryDetail(retryDelayMs)],
  });
}

/** INTERNAL for a statement that the database refuses, whenever it is tried. */
function databaseFailed(state: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "the database refused a statement", {
    reason: "DATABASE_FAILED",
    metadata: { sqlState: state },
    cause,
  });
}

/** INTERNAL for a database that lacks a table: it was not migrated. */
function schemaMissing(state: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "the database is not migrated to this version", {
    reason: "DATABASE_NOT_MIGRATED",
    metadata: { sqlState: state },
    cause,
  });
}

/** ABORTED: why the signal of a delivery aborts that this process could not keep. */
export function leaseLost(): ConnectError {
  return errorWithInfo(Code.Aborted, "this process could not show in time that it lives", {
    reason: "LEASE_LOST",
  });
}

/** INTERNAL for a package that has to be installed besides: an error for the operator. */
export function packageMissing(name: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `this needs the package "${name}": npm install ${name}`, {
    reason: "PACKAGE_MISSING",
    metadata: { package: name },
    cause,
  });
}
