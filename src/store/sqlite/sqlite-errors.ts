import { Code, ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../../status/error-info.js";

/** Primary result codes (sqlite.org/rescode.html). */
export const resultCodes = {
  busy: 5,
  noMemory: 7,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** Conditions that may pass without an operator: a lock, no memory, a disk that fails. */
const passingCodes: ReadonlySet<number> = new Set([
  resultCodes.busy,
  resultCodes.noMemory,
  resultCodes.ioError,
]);

/** When a client may try again that the database did not answer, in milliseconds. */
const retryDelayMs = 1000;

/** Returns the primary result code of a driver's error; undefined if it has no code. */
export function resultCodeOf(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  // The lower byte of an extended code is the basic code.
  if ("errcode" in thrown && typeof thrown.errcode === "number") return thrown.errcode & 0xff;
  if ("rawCode" in thrown && typeof thrown.rawCode === "number") return thrown.rawCode & 0xff;
  return undefined;
}

/**
 * Converts a driver's error to a ConnectError. A ConnectError is returned as it is. Clients do not
 * see the text of the driver, which is in the `cause`.
 */
export function databaseError(cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  const code = resultCodeOf(cause);
  if (code === undefined) return databaseFailed("none", cause);
  if (code === resultCodes.full) return diskFull(cause);
  if (passingCodes.has(code)) return databaseUnavailable(cause);
  const isBroken = code === resultCodes.corrupt || code === resultCodes.notADatabase;
  return isBroken ? databaseCorrupt(cause) : databaseFailed(String(code), cause);
}

/** Returns UNAVAILABLE for a database that cannot write or read now. */
export function databaseUnavailable(cause?: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, "the database cannot be reached now", {
    reason: "DATABASE_UNAVAILABLE",
    details: [retryDetail(retryDelayMs)],
    cause,
  });
}

/**
 * Returns RESOURCE_EXHAUSTED for a write that the disk has no room for. `path` names the file to
 * the operator; clients do not see it.
 */
export function diskFull(cause: unknown, path?: string): ConnectError {
  const message =
    path === undefined
      ? "the server's disk is full"
      : `the disk of ${path} is full: make room on it and start again`;
  return errorWithInfo(Code.ResourceExhausted, message, {
    reason: "DISK_FULL",
    metadata: path === undefined ? {} : { path },
    details: [retryDetail(60_000)],
    cause,
  });
}

/** Returns ABORTED for a transaction whose work took too long; nothing of it was written. */
export function transactionTimedOut(maxTransactionMs: number): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    `the transaction was not over within ${maxTransactionMs} ms, and was rolled back`,
    {
      reason: "TRANSACTION_TIMED_OUT",
      metadata: { maxTransactionMs: String(maxTransactionMs) },
      details: [retryDetail(retryDelayMs)],
    },
  );
}

/** Returns DATA_LOSS for a file that is damaged. */
export function databaseCorrupt(cause: unknown): ConnectError {
  return errorWithInfo(Code.DataLoss, "the database is damaged", {
    reason: "DATABASE_CORRUPT",
    cause,
  });
}

/** INTERNAL for a statement that the database refuses, whenever it is tried. */
function databaseFailed(resultCode: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "the database refused a statement", {
    reason: "DATABASE_FAILED",
    metadata: { resultCode },
    cause,
  });
}

/** Returns the error for the operator: neither Node nor an installed package has SQLite. */
export function driverMissing(cause: unknown): Error {
  return new Error(
    'a SQLite store needs Node 22.13 or newer, or the package "libsql": npm install libsql',
    { cause },
  );
}

/** Returns FAILED_PRECONDITION, for the operator: only one process may have the file open. */
export function databaseInUse(path: string, cause?: unknown): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `${path} is open elsewhere: stop the server or the tool that has it, or give each server a file of its own`,
    { reason: "DATABASE_IN_USE", metadata: { path }, cause },
  );
}

/** Returns FAILED_PRECONDITION, for the operator, for a file of another program. */
export function databaseForeign(path: string, what: string, cause?: unknown): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `${path} holds no operations but ${what}: name another file, or one that does not exist yet`,
    { reason: "DATABASE_FOREIGN", metadata: { path, what }, cause },
  );
}

/** Returns FAILED_PRECONDITION, for the operator, for a file that a newer version wrote. */
export function databaseTooNew(path: string, version: number, known: number): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `${path} has schema version ${version}, and this version of connect-longrunning knows ${known}: install a newer one`,
    {
      reason: "DATABASE_TOO_NEW",
      metadata: { path, version: String(version), known: String(known) },
    },
  );
}

/** Returns FAILED_PRECONDITION, for the operator, for a path that cannot be opened or written. */
export function databaseUnopenable(path: string, cause: unknown): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `${path} cannot be opened: its folder must exist, and this process must be allowed to write both`,
    { reason: "DATABASE_UNOPENABLE", metadata: { path }, cause },
  );
}

/**
 * Returns DATA_LOSS, for the operator, for a damaged file. `fault` is the first damage that the
 * check found.
 */
export function databaseDamaged(path: string, fault: string): ConnectError {
  return errorWithInfo(
    Code.DataLoss,
    `${path} is damaged (${fault}): put a backup in its place, or save what can be read by the sqlite3 tool's .recover`,
    { reason: "DATABASE_CORRUPT", metadata: { path, fault } },
  );
}
