import { Code, type ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { BadRequestSchema, PreconditionFailureSchema, ResourceInfoSchema } from "../protos.js";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** ResourceInfo.resource_type of an operation. */
const operationType = "longrunning.googleapis.com/Operation";

/**
 * Returns INVALID_ARGUMENT for one field of the request.
 *
 * @param expected The rest of a sentence that begins with the field's name, for example "must not
 * be negative".
 */
export function invalidField(
  field: string,
  value: string,
  expected: string,
  reason = "INVALID_FIELD",
): ConnectError {
  const description = `${field} ${expected}, not "${truncateForError(value)}"`;
  return errorWithInfo(Code.InvalidArgument, description, {
    reason,
    metadata: { field, value: truncateForError(value) },
    details: [
      { desc: BadRequestSchema, value: { fieldViolations: [{ field, description, reason }] } },
    ],
  });
}

/**
 * Returns PERMISSION_DENIED, the same whether the resource exists or not (AIP-211).
 *
 * @param resource The name that the caller sent; empty if it has no parent.
 */
export function permissionDenied(permission: string, resource: string): ConnectError {
  const shown = truncateForError(resource);
  return errorWithInfo(
    Code.PermissionDenied,
    `Permission '${permission}' denied on resource '${shown}' (or it might not exist).`,
    { reason: "PERMISSION_DENIED", metadata: { permission, resource: shown } },
  );
}

/** A problem in a filter, and its position. */
export interface FilterFault {
  /**
   * `INVALID_FILTER`: the filter does not follow the grammar, or is over a limit.
   * `UNKNOWN_FILTER_FIELD`: there is no such field. `FILTER_TYPE_MISMATCH`: the value or the
   * operator does not fit the field's type.
   */
  readonly reason: "INVALID_FILTER" | "UNKNOWN_FILTER_FIELD" | "FILTER_TYPE_MISMATCH";
  /** 1-based column, in UTF-16 units. */
  readonly position: number;
  /** The problem, and the values that the filter may have there. */
  readonly problem: string;
}

/** Returns INVALID_ARGUMENT for a filter that cannot be understood (AIP-160). */
export function invalidFilter(filter: string, fault: FilterFault): ConnectError {
  const { reason, position } = fault;
  const problem = truncateForError(fault.problem);
  const description = `filter, column ${position}: ${problem}`;
  return errorWithInfo(Code.InvalidArgument, description, {
    reason,
    metadata: {
      field: "filter",
      value: truncateForError(filter),
      position: String(position),
      problem,
    },
    details: [
      {
        desc: BadRequestSchema,
        value: { fieldViolations: [{ field: "filter", description, reason }] },
      },
    ],
  });
}

/** Returns NOT_FOUND for an operation that is unknown, deleted or expired. */
export function operationNotFound(name: string): ConnectError {
  return errorWithInfo(Code.NotFound, `operation "${truncateForError(name)}" does not exist`, {
    reason: "OPERATION_NOT_FOUND",
    metadata: { name: truncateForError(name) },
    details: [
      {
        desc: ResourceInfoSchema,
        value: { resourceType: operationType, resourceName: truncateForError(name) },
      },
    ],
  });
}

/** Returns ALREADY_EXISTS for a start under a name that is in use. */
export function operationExists(name: string): ConnectError {
  return errorWithInfo(Code.AlreadyExists, `operation "${truncateForError(name)}" exists already`, {
    reason: "OPERATION_EXISTS",
    metadata: { name: truncateForError(name) },
    details: [
      {
        desc: ResourceInfoSchema,
        value: { resourceType: operationType, resourceName: truncateForError(name) },
      },
    ],
  });
}

/** Returns INVALID_ARGUMENT for a request id that was used before with another request. */
export function requestIdReused(requestId: string): ConnectError {
  return invalidField(
    "request_id",
    requestId,
    "must be new for a request that differs from the one it was first sent with",
    "REQUEST_ID_REUSED",
  );
}

/** Returns FAILED_PRECONDITION for a request id whose operation was deleted or has expired. */
export function requestIdSpent(requestId: string, name: string): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    `request_id "${truncateForError(requestId)}" started operation "${truncateForError(name)}", which was deleted or has expired`,
    {
      reason: "REQUEST_ID_SPENT",
      metadata: { requestId: truncateForError(requestId), name: truncateForError(name) },
      details: [
        {
          desc: ResourceInfoSchema,
          value: { resourceType: operationType, resourceName: truncateForError(name) },
        },
      ],
    },
  );
}

/**
 * Returns ABORTED for a start on a resource that another operation works on (AIP-151).
 *
 * @param name The other operation; undefined if the caller does not own it.
 */
export function resourceBusy(resourceKey: string, name: string | undefined): ConnectError {
  const other = name === undefined ? "another operation" : `operation "${truncateForError(name)}"`;
  return errorWithInfo(
    Code.Aborted,
    `${other} works on "${truncateForError(resourceKey)}"; start again when it is done`,
    {
      reason: "RESOURCE_BUSY",
      metadata: {
        resource: truncateForError(resourceKey),
        ...(name !== undefined && { name: truncateForError(name) }),
      },
      details: [
        {
          desc: ResourceInfoSchema,
          value:
            name === undefined
              ? { resourceName: truncateForError(resourceKey) }
              : { resourceType: operationType, resourceName: truncateForError(name) },
        },
      ],
    },
  );
}

/** Returns FAILED_PRECONDITION for a write to an operation that has its result. */
export function operationDone(name: string): ConnectError {
  return notWritable(name, "OPERATION_DONE", "is done, and what is done does not change");
}

/**
 * Returns FAILED_PRECONDITION for `report`, `succeed` or `fail` of an operation that is not
 * external.
 */
export function operationNotExternal(name: string): ConnectError {
  return notWritable(name, "OPERATION_NOT_EXTERNAL", "is driven by its own work, not from outside");
}

/**
 * Returns FAILED_PRECONDITION for `report` or `succeed` with another method than the one that
 * started it.
 */
export function operationOfOtherMethod(name: string, method: string): ConnectError {
  return notWritable(name, "OPERATION_OF_OTHER_METHOD", `was started by ${method}`, { method });
}

/** Returns FAILED_PRECONDITION for a deletion of an operation that must be done first. */
export function operationNotDone(name: string): ConnectError {
  return notWritable(name, "OPERATION_NOT_DONE", "is not done; cancel it or wait for its end");
}

/**
 * Returns FAILED_PRECONDITION for a request to cancel an operation of a method that cannot be
 * cancelled.
 */
export function notCancellable(name: string, method: string): ConnectError {
  const why = `cannot be cancelled: ${method} does not support it`;
  return notWritable(name, "NOT_CANCELLABLE", why, { method });
}

/** Returns UNIMPLEMENTED for a request to cancel where no operation can be cancelled. */
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
  const description = `operation "${truncateForError(name)}" ${why}`;
  return errorWithInfo(Code.FailedPrecondition, description, {
    reason,
    metadata: { name: truncateForError(name), ...metadata },
    details: [
      {
        desc: PreconditionFailureSchema,
        value: { violations: [{ type: reason, subject: truncateForError(name), description }] },
      },
    ],
  });
}

/** Returns UNAVAILABLE for a server that is shutting down: another replica may take the call. */
export function draining(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "DRAINING",
    details: [retryDetail(1000)],
  });
}

/** Returns ABORTED: the result of an operation that was in memory when its server closed. */
export function serverClosed(): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    "the server has shut down, and it kept the operation in memory only",
    { reason: "SERVER_CLOSED" },
  );
}

/** Returns UNAVAILABLE for a start while the unfinished operations are still being queued. */
export function recovering(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is starting", {
    reason: "RECOVERING",
    details: [retryDetail(1000)],
  });
}

/**
 * Returns UNIMPLEMENTED for `return_partial_success`: there is one store, so no response is
 * partial.
 */
export function partialSuccessUnsupported(): ConnectError {
  return errorWithInfo(Code.Unimplemented, "return_partial_success is not supported", {
    reason: "PARTIAL_SUCCESS_UNSUPPORTED",
    metadata: { field: "return_partial_success" },
  });
}

/** Returns CANCELLED: the result of work that stopped on request, and the reason of its signal. */
export function cancelledByRequest(details?: Parameters<typeof errorWithInfo>[2]["details"]) {
  return errorWithInfo(Code.Canceled, "the operation was cancelled", {
    reason: "CANCELLED_BY_REQUEST",
    details,
  });
}

/** Returns ABORTED: the reason of an attempt's signal when another attempt has the operation. */
export function attemptLost(name: string, attempt: number): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    `attempt ${attempt} at "${truncateForError(name)}" is another's by now`,
    {
      reason: "ATTEMPT_LOST",
      metadata: { name: truncateForError(name), attempt: String(attempt) },
    },
  );
}

/** Returns ABORTED: the result of an operation whose worker was lost as often as allowed. */
export function workerLost(attempts: number): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    attempts === 1
      ? "the operation was given up, as the process that ran it was lost"
      : `the operation was given up after ${attempts} attempts that were lost`,
    { reason: "WORKER_LOST", metadata: { attempts: String(attempts) } },
  );
}

/** Returns DEADLINE_EXCEEDED: the result of an operation that was not done by its deadline. */
export function operationDeadlineExceeded(): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, "the operation was not done by its deadline", {
    reason: "OPERATION_DEADLINE_EXCEEDED",
  });
}

/**
 * Returns CANCELLED: the result of an operation whose work did not stop within `cancelGraceMs`
 * after a request to cancel, or by an earlier deadline.
 */
export function cancelGraceExpired(): ConnectError {
  return errorWithInfo(
    Code.Canceled,
    "the operation was cancelled, and its work did not stop in time",
    { reason: "CANCEL_GRACE_EXPIRED" },
  );
}

/**
 * Returns ABORTED: the result of an operation that a later one on the same resource has pre-empted.
 * The later one is not named, because another caller may own it.
 */
export function preempted(resourceKey: string): ConnectError {
  return errorWithInfo(
    Code.Aborted,
    `a later operation on "${truncateForError(resourceKey)}" took the place of this one`,
    { reason: "PREEMPTED", metadata: { resource: truncateForError(resourceKey) } },
  );
}

/** Returns UNAVAILABLE: the result of an operation that was stored but could not be queued. */
export function notDispatched(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the operation could not be put in the queue", {
    reason: "NOT_DISPATCHED",
  });
}

/**
 * Returns INTERNAL for an error of the server that is not a ConnectError. The log contains the
 * cause.
 */
export function internalError(cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "internal error", { reason: "INTERNAL", cause });
}

/**
 * Returns UNKNOWN: the result of an operation whose work threw an exception that is not a
 * ConnectError. Only the log contains the exception.
 */
export function workFailed(): ConnectError {
  return errorWithInfo(Code.Unknown, "the operation failed with an unexpected error", {
    reason: "WORK_FAILED",
  });
}
