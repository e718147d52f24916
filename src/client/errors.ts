// This file has every error that the client makes. The error of a wait becomes an OperationError
// with a kind.
import { Code, ConnectError } from "@connectrpc/connect";
import { errorWithInfo } from "../status/error-info.js";

/** Returns NOT_FOUND: this client has deleted the operation, so its waits end as `gone`. */
export function deletedHere(name: string): ConnectError {
  return errorWithInfo(Code.NotFound, `operation "${name}" was deleted by this client`, {
    reason: "OPERATION_DELETED",
    metadata: { name },
  });
}

/** Returns INVALID_ARGUMENT: the name cannot be encoded in UTF-8. */
export function malformedName(): ConnectError {
  // The error does not contain the name, because the name cannot be serialized.
  return errorWithInfo(Code.InvalidArgument, "the operation's name has a lone surrogate", {
    reason: "MALFORMED_NAME",
  });
}

/** Returns INTERNAL: a start returned a running operation whose name no later call can use. */
export function namelessOperation(method: string): ConnectError {
  return errorWithInfo(Code.Internal, `${method} returned a running operation without a name`, {
    reason: "MISSING_NAME",
    metadata: { method },
  });
}

/**
 * Returns the error of the last poll with a message about the wait. The poll's error is the cause.
 */
export function pollFailed(name: string, error: ConnectError): ConnectError {
  const message = `polling operation "${name}" failed: ${error.rawMessage}`;
  const failed = new ConnectError(message, error.code, error.metadata, undefined, error);
  failed.details = error.details;
  return failed;
}

/**
 * Returns CANCELLED: the caller aborted the wait.
 *
 * @param what Names the operations.
 */
export function waitAborted(what: string, reason: unknown): ConnectError {
  const message = `waiting for ${what} was aborted`;
  return new ConnectError(message, Code.Canceled, undefined, undefined, reason);
}

/**
 * Returns DEADLINE_EXCEEDED: a limit of a wait expired.
 *
 * @param metadata Says which operation and which limit.
 */
export function waitTimedOut(
  message: string,
  metadata: { name: string; limit: string } & Record<string, string>,
): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, message, { reason: "WAIT_TIMED_OUT", metadata });
}

/** Returns INVALID_ARGUMENT: a resume token is malformed, or belongs to another method. */
export function invalidToken(why: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `the resume token is invalid: ${why}`, {
    reason: "INVALID_RESUME_TOKEN",
    metadata: { why },
  });
}

export const repeatedTokenReason = "REPEATED_PAGE_TOKEN";

/** Returns INTERNAL: a list returned a page token twice, so that it has no end. */
export function repeatedPageToken(pageToken: string): ConnectError {
  return errorWithInfo(Code.Internal, `the server returned the page token "${pageToken}" twice`, {
    reason: repeatedTokenReason,
    metadata: { pageToken },
  });
}

/** FAILED_PRECONDITION: the registry of this client's transport lacks the type of a payload in JSON. */
export function unregisteredType(typeUrl: string, cause: unknown): ConnectError {
  const message =
    `the response has a payload of the type "${typeUrl}", which the transport does not know: ` +
    "give it jsonOptions.registry (createTypeRegistry), or useBinaryFormat";
  return errorWithInfo(Code.FailedPrecondition, message, {
    reason: "UNREGISTERED_TYPE",
    metadata: { typeUrl },
    cause,
  });
}
