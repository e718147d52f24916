import { ConnectError } from "@connectrpc/connect";
import type { ResumeToken } from "./resume-token.js";
import type { Snapshot } from "./snapshot.js";

/**
 * Why a wait ended without a response.
 *
 * - `failed`: the operation ended with an error. The code, the message and the details are those of
 *   the operation's google.rpc.Status.
 * - `cancelled`: the operation ended with the code CANCELLED.
 * - `malformed`: the operation is done and its result is missing or unreadable, or a start returned a
 *   running operation without a name.
 * - `unexpected-type`: the operation is done, and its response has another type than declared.
 * - `gone`: the server does not have the operation: it was deleted or has expired.
 * - `poll`: polling failed. The operation may still be running.
 * - `timeout`: a limit of the wait expired. The operation may still be running.
 * - `aborted`: the caller's signal aborted; its reason is the `cause`.
 * - `invalid-token`: a resume token is malformed, or belongs to another method.
 */
export type OperationErrorKind =
  | "failed"
  | "cancelled"
  | "malformed"
  | "unexpected-type"
  | "gone"
  | "poll"
  | "timeout"
  | "aborted"
  | "invalid-token";

/** The state of a wait when an error ended it. */
export interface WaitReport {
  /** Name of the operation; empty if the error is about a token or a start without a name. */
  readonly operationName: string;
  /** The latest state; undefined if no poll has succeeded. */
  readonly snapshot: Snapshot | undefined;
  /** Number of polls of this wait, including failed ones. */
  readonly polls: number;
  /** Number of consecutive failed polls at the end. */
  readonly consecutiveFailures: number;
  /** The error of the last failed poll, if a poll has failed. */
  readonly lastPollError: ConnectError | undefined;
  /** Duration of this wait, in milliseconds. */
  readonly elapsedMs: number;
  /** Resumes the operation, here or in another process; undefined for an invalid token. */
  readonly resumeToken: ResumeToken | undefined;
}

/**
 * A wait that ended without a response. `kind` says why. `code`, `rawMessage`, `details` and
 * `findDetails()` are those of the operation's google.rpc.Status or of the call that failed.
 *
 * It is an instance of ConnectError. Its `name` is "ConnectError", because Connect's own `instanceof`
 * requires that.
 *
 * @example
 * const result = await handle.result({ timeoutMs: 60_000 }).catch((error: unknown) => {
 *   if (error instanceof OperationError && error.kind === "timeout") return error.resumeToken;
 *   throw error;
 * });
 */
export class OperationError extends ConnectError implements WaitReport {
  declare readonly kind: OperationErrorKind;
  declare readonly operationName: string;
  declare readonly snapshot: Snapshot | undefined;
  declare readonly polls: number;
  declare readonly consecutiveFailures: number;
  declare readonly lastPollError: ConnectError | undefined;
  declare readonly elapsedMs: number;
  declare readonly resumeToken: ResumeToken | undefined;

  /** @param error Supplies code, message, details, headers and cause. */
  constructor(kind: OperationErrorKind, error: ConnectError, report: WaitReport) {
    super(error.rawMessage, error.code, error.metadata, undefined, error.cause);
    this.details = error.details;
    Object.assign(this, report, { kind });
  }

  // The inherited check accepts every ConnectError.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "kind" in value && "operationName" in value;
  }
}

/** Returns the report of an error before the first wait. */
export function withoutWait(
  operationName: string,
  resumeToken?: ResumeToken,
  lastPollError?: ConnectError,
): WaitReport {
  const polls = lastPollError === undefined ? 0 : 1;
  return {
    operationName,
    snapshot: undefined,
    polls,
    consecutiveFailures: polls,
    lastPollError,
    elapsedMs: 0,
    resumeToken,
  };
}
