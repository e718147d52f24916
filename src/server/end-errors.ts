import { Code, type ConnectError } from "@connectrpc/connect";
import { echo } from "../internal/echo.js";
import { errorWithInfo } from "../status/error-info.js";

/** DEADLINE_EXCEEDED: how an operation ends that was not done by its deadline. */
export function operationDeadlineExceeded(): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, "the operation was not done by its deadline", {
    reason: "OPERATION_DEADLINE_EXCEEDED",
  });
}

/**
 * CANCELLED: how an operation ends whose work did not stop within the grace that it had
 * after a request to cancel, or by a deadline that was sooner.
 */
export function cancelGraceExpired(): ConnectError {
  return errorWithInfo(
    Code.Canceled,
    "the operation was cancelled, and its work did not stop in time",
    { reason: "CANCEL_GRACE_EXPIRED" },
  );
}

/**
 * ABORTED: how an operation ends that a later one of the same resource took the place of.
 * The later one is not named: it may be another caller's.
 */
export function preempted(resourceKey: string): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    `a later operation on "${echo(resourceKey)}" took the place of this one`,
    { reason: "PREEMPTED", metadata: { resource: echo(resourceKey) } },
  );
}
