import { Code, type ConnectError } from "@connectrpc/connect";
import { echo } from "../internal/echo.js";
import { BadRequestSchema, PreconditionFailureSchema, ResourceInfoSchema } from "../protos.js";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** ResourceInfo.resource_type of an operation. */
const operationType = "longrunning.googleapis.com/Operation";

/**
 * INVALID_ARGUMENT for one field of the request: `expected` says, as the rest of
 * a sentence that begins with the field's name, what it should have been.
 */
export function invalidField(
  field: string,
  value: string,
  expected: string,
  reason = "INVALID_FIELD",
): ConnectError {
  const description = `${field} ${expected}, not "${echo(value)}"`;
  return errorWithInfo(Code.InvalidArgument, description, {
    reason,
    metadata: { field, value: echo(value) },
    details: [
      { desc: BadRequestSchema, value: { fieldViolations: [{ field, description, reason }] } },
    ],
  });
}

/**
 * PERMISSION_DENIED, the same whether the resource exists or not (AIP-211).
 *
 * @param resource As the caller sent it; empty for what has no parent.
 */
export function permissionDenied(permission: string, resource: string): ConnectError {
  const shown = echo(resource);
  return errorWithInfo(
    Code.PermissionDenied,
    `Permission '${permission}' denied on resource '${shown}' (or it might not exist).`,
    { reason: "PERMISSION_DENIED", metadata: { permission, resource: shown } },
  );
}

/** What is wrong with a filter, and where. */
export interface FilterFault {
  /**
   * `INVALID_FILTER`: it does not follow the grammar, or is over a bound.
   * `UNKNOWN_FILTER_FIELD`: there is no such field. `FILTER_TYPE_MISMATCH`: the value or
   * the operator is none for the field's type.
   */
  readonly reason: "INVALID_FILTER" | "UNKNOWN_FILTER_FIELD" | "FILTER_TYPE_MISMATCH";
  /** 1-based column, in UTF-16 units. */
  readonly position: number;
  /** What is wrong and what would be right there. */
  readonly problem: string;
}

/** INVALID_ARGUMENT for a filter that cannot be understood (AIP-160). */
export function invalidFilter(filter: string, fault: FilterFault): ConnectError {
  const { reason, position } = fault;
  const problem = echo(fault.problem);
  const description = `filter, column ${position}: ${problem}`;
  return errorWithInfo(Code.InvalidArgument, description, {
    reason,
    metadata: { field: "filter", value: echo(filter), position: String(position), problem },
    details: [
      {
        desc: BadRequestSchema,
        value: { fieldViolations: [{ field: "filter", description, reason }] },
      },
    ],
  });
}

/** NOT_FOUND for an operation that is unknown, deleted or expired. */
export function operationNotFound(name: string): ConnectError {
  return errorWithInfo(Code.NotFound, `operation "${echo(name)}" does not exist`, {
    reason: "OPERATION_NOT_FOUND",
    metadata: { name: echo(name) },
    details: [
      {
        desc: ResourceInfoSchema,
        value: { resourceType: operationType, resourceName: echo(name) },
      },
    ],
  });
}

/** ALREADY_EXISTS for a start under a name that is in use. */
export function operationExists(name: string): ConnectError {
  return errorWithInfo(Code.AlreadyExists, `operation "${echo(name)}" exists already`, {
    reason: "OPERATION_EXISTS",
    metadata: { name: echo(name) },
    details: [
      {
        desc: ResourceInfoSchema,
        value: { resourceType: operationType, resourceName: echo(name) },
      },
    ],
  });
}

/** INVALID_ARGUMENT for a request id that came before with another request. */
export function requestIdReused(requestId: string): ConnectError {
  return invalidField(
    "request_id",
    requestId,
    "must be new for a request that differs from the one it was first sent with",
    "REQUEST_ID_REUSED",
  );
}

/** FAILED_PRECONDITION for a request id whose operation was deleted or has expired. */
export function requestIdSpent(requestId: string, name: string): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `request_id "${echo(requestId)}" started operation "${echo(name)}", which was deleted or has expired`,
    {
      reason: "REQUEST_ID_SPENT",
      metadata: { requestId: echo(requestId), name: echo(name) },
      details: [
        {
          desc: ResourceInfoSchema,
          value: { resourceType: operationType, resourceName: echo(name) },
        },
      ],
    },
  );
}

/**
 * ABORTED for a start on a resource that another operation works on (AIP-151).
 *
 * @param name The other operation; undefined where the caller must not know of it.
 */
export function resourceBusy(resourceKey: string, name: string | undefined): ConnectError {
  const other = name === undefined ? "another operation" : `operation "${echo(name)}"`;
  return errorWithInfo(
    Code.Aborted,
    `${other} works on "${echo(resourceKey)}"; start again when it is done`,
    {
      reason: "RESOURCE_BUSY",
      metadata: { resource: echo(resourceKey), ...(name !== undefined && { name: echo(name) }) },
      details: [
        {
          desc: ResourceInfoSchema,
          value:
            name === undefined
              ? { resourceName: echo(resourceKey) }
              : { resourceType: operationType, resourceName: echo(name) },
        },
      ],
    },
  );
}

/** FAILED_PRECONDITION for a write to an operation that has its result. */
export function operationDone(name: string): ConnectError {
  return notWritable(name, "OPERATION_DONE", "is done, and what is done does not change");
}

/** FAILED_PRECONDITION for driving an operation from outside that has work of its own here. */
export function operationNotExternal(name: string): ConnectError {
  return notWritable(name, "OPERATION_NOT_EXTERNAL", "is driven by its own work, not from outside");
}

/** FAILED_PRECONDITION for driving an operation as one of a method that did not start it. */
export function operationOfOtherMethod(name: string, method: string): ConnectError {
  return notWritable(name, "OPERATION_OF_OTHER_METHOD", `was started by ${method}`, { method });
}

/** FAILED_PRECONDITION for a deletion of an operation that must be done first. */
export function operationNotDone(name: string): ConnectError {
  return notWritable(name, "OPERATION_NOT_DONE", "is not done; cancel it or wait for its end");
}

/** FAILED_PRECONDITION for a request to cancel an operation of a method that cannot be cancelled. */
export function notCancellable(name: string, method: string): ConnectError {
  const why = `cannot be cancelled: ${method} does not support it`;
  return notWritable(name, "NOT_CANCELLABLE", why, { method });
}

/** UNIMPLEMENTED for a request to cancel where no operation can be cancelled. */
export function cancellationUnsupported(): ConnectError {
  return errorWithInfo(Code.Unimplemented, "operations of this service cannot be cancelled", {
    reason: "CANCELLATION_UNSUPPORTED",
  });
}

function notWritable(
  name: string,
  reason: string,
  why: string,
  metadata: Record<string, string> = {},
): ConnectError {
  const description = `operation "${echo(name)}" ${why}`;
  return errorWithInfo(Code.FailedPrecondition, description, {
    reason,
    metadata: { name: echo(name), ...metadata },
    details: [
      {
        desc: PreconditionFailureSchema,
        value: { violations: [{ type: reason, subject: echo(name), description }] },
      },
    ],
  });
}

/** UNAVAILABLE for a server that is shutting down: another one may take the call. */
export function draining(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "DRAINING",
    details: [retryDetail(1000)],
  });
}

/** ABORTED: the result of an operation that was in memory when its server closed. */
export function serverClosed(): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    "the server has shut down, and it kept the operation in memory only",
    { reason: "SERVER_CLOSED" },
  );
}

/** UNAVAILABLE for a start while the queue is still filled with what was unfinished. */
export function recovering(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is starting", {
    reason: "RECOVERING",
    details: [retryDetail(1000)],
  });
}

/** UNIMPLEMENTED for `return_partial_success`: one store answers, wholly or not at all. */
export function partialSuccessUnsupported(): ConnectError {
  return errorWithInfo(Code.Unimplemented, "return_partial_success is not supported", {
    reason: "PARTIAL_SUCCESS_UNSUPPORTED",
    metadata: { field: "return_partial_success" },
  });
}

/** CANCELLED: how an operation ends whose work stopped on request, and why its signal aborts. */
export function cancelledByRequest(details?: Parameters<typeof errorWithInfo>[2]["details"]) {
  return errorWithInfo(Code.Canceled, "the operation was cancelled", {
    reason: "CANCELLED_BY_REQUEST",
    details,
  });
}

/** ABORTED: why the signal of an attempt aborts that another attempt has taken over from. */
export function attemptLost(name: string, attempt: number): ConnectError {
  return errorWithInfo(Code.Aborted, `attempt ${attempt} at "${echo(name)}" is another's by now`, {
    reason: "ATTEMPT_LOST",
    metadata: { name: echo(name), attempt: String(attempt) },
  });
}

/** ABORTED: how an operation ends whose worker was lost, once or as often as it may be. */
export function workerLost(attempts: number): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    attempts === 1
      ? "the operation was given up, as the process that ran it was lost"
      : `the operation was given up after ${attempts} attempts that were lost`,
    { reason: "WORKER_LOST", metadata: { attempts: String(attempts) } },
  );
}

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

/** UNAVAILABLE: how an operation ends that was stored and could not be put in the queue. */
export function notDispatched(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the operation could not be put in the queue", {
    reason: "NOT_DISPATCHED",
  });
}

/** INTERNAL for a fault on this side that is no ConnectError; the log hook has it. */
export function internalError(cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "internal error", { reason: "INTERNAL", cause });
}

/**
 * UNKNOWN: how an operation ends whose work threw something that is no
 * ConnectError. What it threw stays on this side; the log hook has it.
 */
export function workFailed(): ConnectError {
  return errorWithInfo(Code.Unknown, "the operation failed with an unexpected error", {
    reason: "WORK_FAILED",
  });
}
