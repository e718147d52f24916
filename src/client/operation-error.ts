import { ConnectError } from "@connectrpc/connect";
import type { ResumeToken } from "./resume-token.js";
import type { Snapshot } from "./snapshot.js";

/**
 * What a wait met.
 *
 * - `failed`: the operation ended with an error. Its code, message and details are
 *   those of the operation's google.rpc.Status.
 * - `cancelled`: the same with code CANCELLED: somebody had it cancelled.
 * - `malformed`: it is done, and its result is missing or cannot be read.
 * - `unexpected-type`: it is done, and its response is of another type than declared.
 * - `gone`: the server does not know it any more: deleted or expired.
 * - `poll`: asking for it failed. That says nothing of the operation.
 * - `timeout`: the caller's time was up. That says nothing of the operation either.
 * - `aborted`: the caller's signal aborted; its reason is the `cause`.
 * - `invalid-token`: a resume token is not one, or is of another method.
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

/** What is known of the wait that an error ended. */
export interface WaitReport {
  /** Name of the operation; empty for an invalid token that has none. */
  readonly operationName: string;
  /** The latest state that was seen; undefined for an invalid token. */
  readonly snapshot: Snapshot | undefined;
  /** How often this wait looked, the looks that failed included. */
  readonly polls: number;
  /** How many of them failed in a row at the end. */
  readonly consecutiveFailures: number;
  /** What the last look that failed met, if one did. */
  readonly lastPollError: ConnectError | undefined;
  /** How long this wait lasted, in milliseconds. */
  readonly elapsedMs: number;
  /** Takes the operation up again, here or in another process; undefined for an invalid token. */
  readonly resumeToken: ResumeToken | undefined;
}

/**
 * A wait ended without a response. `kind` says which of the many reasons it was;
 * `code`, `rawMessage`, `details` and `findDetails()` are those of the operation's
 * google.rpc.Status or of the call that failed.
 *
 * It is a ConnectError to every `instanceof ConnectError`, for which Connect asks
 * that its `name` stays "ConnectError".
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

  /** @param error Gives code, message, details, headers and cause. */
  constructor(kind: OperationErrorKind, error: ConnectError, report: WaitReport) {
    super(error.rawMessage, error.code, error.metadata, undefined, error.cause);
    this.details = error.details;
    Object.assign(this, report, { kind });
  }

  // ConnectError's own test takes every ConnectError, which is not enough here.
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "kind" in value && "operationName" in value;
  }
}

/** The report of an error that came before there was anything to wait for. */
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
