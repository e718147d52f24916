import { Code, type ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { errorWithInfo } from "../status/error-info.js";

/** Returns UNIMPLEMENTED for a path that no RPC and no handler serves. */
export function notServed(path: string): ConnectError {
  return errorWithInfo(Code.Unimplemented, `nothing is served at "${truncateForError(path)}"`, {
    reason: "NOT_SERVED",
    metadata: { path: truncateForError(path) },
  });
}

/** Returns INVALID_ARGUMENT for a message that is not of its type, in binary or in JSON. */
export function malformedRequest(type: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `the request is not a valid ${type}`, {
    reason: "MALFORMED_REQUEST",
    metadata: { type },
  });
}

/** Returns RESOURCE_EXHAUSTED for a request body above its limit. */
export function requestTooLarge(maxBytes: number): ConnectError {
  return errorWithInfo(Code.ResourceExhausted, `the request is larger than ${maxBytes} bytes`, {
    reason: "REQUEST_TOO_LARGE",
    metadata: { maxBytes: String(maxBytes) },
  });
}

/** Returns PERMISSION_DENIED for a request that a web page of another origin can have sent. */
export function crossSite(origin: string): ConnectError {
  const message =
    `a page of "${truncateForError(origin)}" may not call: send Content-Type: application/json, ` +
    "and have `cors` allow the origin";
  return errorWithInfo(Code.PermissionDenied, message, {
    reason: "CROSS_SITE",
    metadata: { origin: truncateForError(origin) },
  });
}

/** Returns UNIMPLEMENTED for gRPC on a platform whose responses have no trailers. */
export function noTrailers(): ConnectError {
  const message =
    "this server cannot send the trailers that gRPC needs; use gRPC-Web, Connect or REST";
  return errorWithInfo(Code.Unimplemented, message, { reason: "NO_TRAILERS" });
}

/** Returns INTERNAL for an error that is not for the client; the log hook has its cause. */
export function internalError(cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "internal error", { reason: "INTERNAL", cause });
}
