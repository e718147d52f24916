import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** INVALID_ARGUMENT for a request whose target or Host make no URL. */
export function badTarget(): ConnectError {
  return errorWithInfo(Code.InvalidArgument, "the request's target and host make no URL", {
    reason: "BAD_TARGET",
  });
}

/** INTERNAL for a body that a body parser has read: this server's handlers are mounted wrongly. */
export function bodyAlreadyRead(loss: string): ConnectError {
  const message =
    `a body parser read the request before its handler did, and ${loss}; ` +
    "mount the handler before the parser";
  return errorWithInfo(Code.Internal, message, {
    reason: "BODY_ALREADY_READ",
    metadata: { loss },
  });
}

/** DEADLINE_EXCEEDED for a client that sends its request too slowly. */
export function requestTimedOut(timeoutMs: number): ConnectError {
  return errorWithInfo(Code.DeadlineExceeded, `the request did not arrive within ${timeoutMs} ms`, {
    reason: "REQUEST_TIMED_OUT",
    metadata: { timeoutMs: String(timeoutMs) },
  });
}

/** UNAVAILABLE: why calls abort that are still under way when the port closes. */
export function portClosing(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server is shutting down", {
    reason: "PORT_CLOSING",
    details: [retryDetail(1000)],
  });
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
