import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** Returns UNAVAILABLE for a dispatch that did not reach Restate. */
export function restateUnavailable(cause?: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, "the Restate server cannot be reached now", {
    reason: "RESTATE_UNAVAILABLE",
    details: [retryDetail(1000)],
    cause,
  });
}

/**
 * Returns UNAVAILABLE for a dispatch that Restate refused, such as one to a service that it does
 * not know.
 */
export function restateRefused(status: number): ConnectError {
  return errorWithInfo(Code.Unavailable, `Restate refused a delivery with HTTP status ${status}`, {
    reason: "RESTATE_REFUSED",
    metadata: { status: String(status) },
    details: [retryDetail(1000)],
  });
}

/** Returns INTERNAL for a worker endpoint that Restate's admin API did not register. */
export function endpointNotRegistered(endpoint: string, cause?: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `Restate did not register the endpoint ${endpoint}`, {
    reason: "RESTATE_NOT_REGISTERED",
    metadata: { endpoint },
    cause,
  });
}

/** Returns INTERNAL for a version of Node.js that the SDK does not support. */
export function nodeTooOld(version: string): ConnectError {
  return errorWithInfo(Code.Internal, `Restate's SDK needs Node.js 22, and this is ${version}`, {
    reason: "NODE_TOO_OLD",
    metadata: { version },
  });
}

/** Returns INTERNAL for an optional package that is not installed. */
export function packageMissing(name: string, cause?: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `this needs the package "${name}": npm install ${name}`, {
    reason: "PACKAGE_MISSING",
    metadata: { package: name },
    cause,
  });
}

/** Returns UNAVAILABLE, for Restate only: another process may run the operation. */
export function handedOver(name: string): ConnectError {
  return errorWithInfo(Code.Unavailable, `this process does not run "${name}" now`, {
    reason: "DELIVERY_HANDED_OVER",
    metadata: { name },
  });
}

/**
 * Returns ABORTED: the abort reason of a delivery whose connection to Restate was lost for too
 * long.
 */
export function connectionLost(): ConnectError {
  return errorWithInfo(Code.Aborted, "the connection that delivered the operation is lost", {
    reason: "LEASE_LOST",
  });
}
