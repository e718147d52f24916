import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../../status/error-info.js";

/** When a client may try again that the database did not answer. */
const retryDelayMs = 1000;

/** Returns UNAVAILABLE for a database that cannot be reached or cannot answer now. */
export function databaseUnavailable(cause?: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, "the database cannot be reached now", {
    reason: "DATABASE_UNAVAILABLE",
    details: [retryDetail(retryDelayMs)],
    cause,
  });
}

/**
 * Returns ABORTED for a start that conflicted with others too often; the client may try it again.
 */
export function startContended(): ConnectError {
  return errorWithInfo(Code.Aborted, "other starts came in between; try again", {
    reason: "START_CONTENDED",
    details: [retryDetail(retryDelayMs)],
  });
}

/** Returns INTERNAL for a statement that the database refuses, whenever it is tried. */
export function databaseFailed(state: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "the database refused a statement", {
    reason: "DATABASE_FAILED",
    metadata: { sqlState: state },
    cause,
  });
}

/**
 * Returns INTERNAL for a connection that the database refuses, whenever it is tried: an error for
 * the operator.
 */
export function connectionRefused(state: string, cause: unknown): ConnectError {
  return errorWithInfo(
    Code.Internal,
    `the database refused the connection (SQLSTATE ${state}): check the user, the password and ` +
      "the database of the connection string",
    { reason: "DATABASE_REFUSED", metadata: { sqlState: state }, cause },
  );
}

/** Returns INTERNAL for a database that lacks a table: it was not migrated. */
export function schemaMissing(state: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "the database is not migrated to this version", {
    reason: "DATABASE_NOT_MIGRATED",
    metadata: { sqlState: state },
    cause,
  });
}

/** Returns INTERNAL for a schema that lacks steps of this program: an error for the operator. */
export function schemaTooOld(schema: string, version: number, known: number): ConnectError {
  const state = version === 0 ? "is not migrated" : `has version ${version}`;
  return errorWithInfo(
    Code.Internal,
    `the schema "${schema}" ${state}, and this version of connect-longrunning needs version ${known}: ` +
      `run "longrunning migrate --schema ${schema}", or apply migrationScript({ from: ${version} })`,
    {
      reason: "DATABASE_NOT_MIGRATED",
      metadata: { schema, version: String(version), known: String(known) },
    },
  );
}

/**
 * Returns FAILED_PRECONDITION for a schema whose newer steps do not allow this program: an error
 * for the operator.
 */
export function databaseTooNew(schema: string, version: number, known: number): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `the schema "${schema}" has version ${version}, which this version of connect-longrunning ` +
      `(version ${known}) cannot run on: install a newer one`,
    {
      reason: "DATABASE_TOO_NEW",
      metadata: { schema, version: String(version), known: String(known) },
    },
  );
}

/** Returns ABORTED: the reason of the signal of a delivery whose lease was lost. */
export function leaseLost(): ConnectError {
  return errorWithInfo(Code.Aborted, "this process could not show in time that it lives", {
    reason: "LEASE_LOST",
  });
}

/** Returns INTERNAL for an optional package that is not installed: an error for the operator. */
export function packageMissing(name: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `this needs the package "${name}": npm install ${name}`, {
    reason: "PACKAGE_MISSING",
    metadata: { package: name },
    cause,
  });
}
