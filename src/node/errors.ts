import { Code, type ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** Returns INVALID_ARGUMENT for a request whose target and Host do not form a URL. */
export function badTarget(): ConnectError {
  return errorWithInfo(Code.InvalidArgument, "the request's target and host are not a URL", {
    reason: "BAD_TARGET",
  });
}

/**
 * Returns PERMISSION_DENIED for a host that the server does not answer to: DNS rebinding, or a
 * missing option.
 */
export function hostNotAllowed(host: string): ConnectError {
  const message =
    `this server does not answer to the host "${truncateForError(host)}"; ` +
    "add it to `allowedHosts` (--allowed-host) if it is one of the server's names";
  return errorWithInfo(Code.PermissionDenied, message, {
    reason: "HOST_NOT_ALLOWED",
    metadata: { host: truncateForError(host) },
  });
}

/**
 * Returns INTERNAL for a body that a body parser has read: this server's handlers are mounted
 * wrongly.
 */
export function bodyAlreadyRead(loss: string): ConnectError {
  const message =
    `a body parser read the request before its handler did, and ${loss}; ` +
    "mount the handler before the parser";
  return errorWithInfo(Code.Internal, message, {
    reason: "BODY_ALREADY_READ",
    metadata: { loss },
  });
}

/** Returns DEADLINE_EXCEEDED for a client that sends its request too slowly. */
export function requestTimedOut(timeoutMs: number): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, `the request did not arrive within ${timeoutMs} ms`, {
    reason: "REQUEST_TIMED_OUT",
    metadata: { timeoutMs: String(timeoutMs) },
  });
}

/**
 * Returns RESOURCE_EXHAUSTED for a request that arrived while too many bytes of other requests were
 * incomplete.
 */
export function requestsTooLarge(of: "connection" | "server", maxBytes: number): ConnectError {
  const message = `the requests that this ${of} is receiving are larger than ${maxBytes} bytes together`;
  return errorWithInfo(Code.ResourceExhausted, message, {
    reason: "REQUESTS_TOO_LARGE",
    metadata: { of, maxBytes: String(maxBytes) },
    details: [retryDetail(1000)],
  });
}

/** Returns UNAVAILABLE: the port closed while the call was running. */
export function portClosing(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "PORT_CLOSING",
    details: [retryDetail(1000)],
  });
}

/** Returns UNAVAILABLE: the call's connection was lost. The server may have run the call. */
export function connectionLost(authority: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, `the connection to ${authority} was lost`, {
    reason: "CONNECTION_LOST",
    metadata: { authority },
    cause,
  });
}

/** Returns UNAVAILABLE: there is no connection, and the server has not seen the call. */
export function notConnected(authority: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, `cannot connect to ${authority}`, {
    reason: "NOT_CONNECTED",
    metadata: { authority },
    cause,
  });
}
