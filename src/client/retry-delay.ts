import type { ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../protos.js";

/** Longest delay that a server can impose by one response, in milliseconds. */
const longestDelayMs = 5 * 60 * 1000;

/**
 * Returns the delay that a failed call asks for, in milliseconds, at most 5 minutes: the RetryInfo
 * of the error (AIP-194), else its `Retry-After` header. Returns 0 if the error has neither. The
 * result is a lower bound for the next delay and never replaces the client's back-off. A delay of
 * 0, or a date that is past because the client's clock is wrong, must not make the client repeat
 * calls at once.
 */
export function retryDelayMs(error: ConnectError, nowMs: number): number {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined
    ? retryAfterMs(error.metadata, nowMs)
    : bounded(Number(delay.seconds) * 1000 + delay.nanos / 1e6);
}

/**
 * Returns the delay in a `Retry-After` header, which holds seconds or a date (RFC 9110, section
 * 10.2.3), in milliseconds, at most 5 minutes. Returns 0 if the header is missing or has another form.
 */
export function retryAfterMs(header: Headers, nowMs: number): number {
  const value = header.get("retry-after")?.trim() ?? "";
  return bounded(/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs);
}

function bounded(delayMs: number): number {
  // A date that cannot be parsed is NaN, which is not above 0.
  return delayMs > 0 ? Math.min(delayMs, longestDelayMs) : 0;
}
