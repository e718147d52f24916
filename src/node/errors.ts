import { Code, type ConnectError } from "@connectrpc/connect";
import { echo } from "../internal/echo.js";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** UNIMPLEMENTED for a path that nobody here serves. */
export function notServed(path: string): ConnectError {
  return errorWithInfo(Code.Unimplemented, `nothing is served at "${echo(path)}"`, {
    reason: "NOT_SERVED",
    metadata: { path: echo(path) },
  });
}

/** INVALID_ARGUMENT for a request whose target or Host make no URL. */
export function badTarget(): ConnectError {
  return errorWithInfo(Code.InvalidArgument, "the request's target and host make no URL", {
    reason: "BAD_TARGET",
  });
}

/** DEADLINE_EXCEEDED for a client that sends its request too slowly. */
export function requestTimedOut(timeoutMs: number): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, `the request did not arrive within ${timeoutMs} ms`, {
    reason: "REQUEST_TIMED_OUT",
    metadata: { timeoutMs: String(timeoutMs) },
  });
}

/** RESOURCE_EXHAUSTED for a request body above its bound. */
export function requestTooLarge(maxBytes: number): ConnectError {
  return errorWithInfo(Code.ResourceExhausted, `the request is larger than ${maxBytes} bytes`, {
    reason: "REQUEST_TOO_LARGE",
    metadata: { maxBytes: String(maxBytes) },
  });
}

/** UNAVAILABLE: why calls abort that are still under way when the port closes. */
export function portClosing(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "PORT_CLOSING",
    details: [retryDetail(1000)],
  });
}

/** INTERNAL for a fault on this side; the log hook has it. */
export function internalError(cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, "internal error", { reason: "INTERNAL", cause });
}

/** UNAVAILABLE: the connection that a call went over is gone; whether the server has run it, nobody knows. */
export function connectionLost(authority: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, `the connection to ${authority} was lost`, {
    reason: "CONNECTION_LOST",
    metadata: { authority },
    cause,
  });
}

/** UNAVAILABLE: there is no connection, and the server has not seen the call. */
export function notConnected(authority: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, `cannot connect to ${authority}`, {
    reason: "NOT_CONNECTED",
    metadata: { authority },
    cause,
  });
}
