import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { atLeastOne, inRange } from "../internal/option-bounds.js";
import { standardDetailsOf } from "../status/standard-details.js";
import type { RetryOptions } from "./method-options.js";
import { milliseconds } from "./methods.js";

/** Decides when failed work is tried again. */
export interface RetryPolicy {
  /** The number of attempts in all. */
  readonly maxAttempts: number;
  /** The pause after this many attempts, in milliseconds; undefined after the last one. */
  delayMs(thrown: unknown, attempts: number): number | undefined;
}

/** The longest pause that a RetryInfo can request, in milliseconds: one day. */
const maxHintMs = 24 * 60 * 60 * 1000;

/** @throws RangeError for an option out of its bounds. */
export function createRetryPolicy(options: RetryOptions): RetryPolicy {
  const maxAttempts = atLeastOne("retry.maxAttempts", options.maxAttempts ?? 5);
  const initialDelayMs = milliseconds("retry.initialDelayMs", options.initialDelayMs ?? 1000);
  const maxDelayMs = milliseconds("retry.maxDelayMs", options.maxDelayMs ?? 60_000);
  const multiplier = inRange("retry.multiplier", options.multiplier ?? 2, 1);
  const isRetryable = options.isRetryable ?? isUnavailable;
  return {
    maxAttempts,
    delayMs(thrown, attempts) {
      if (attempts >= maxAttempts || !isRetryable(thrown)) return undefined;
      // The bound is finite because infinity times an initial delay of 0 is NaN.
      const factor = Math.min(multiplier ** (attempts - 1), Number.MAX_VALUE);
      return hintMs(thrown) ?? Math.min(maxDelayMs, initialDelayMs * factor);
    },
  };
}

/** Only UNAVAILABLE is retried (AIP-194). */
function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof ConnectError && thrown.code === Code.Unavailable;
}

/** Returns the delay that an error requests by RetryInfo. */
function hintMs(thrown: unknown): number | undefined {
  if (!(thrown instanceof ConnectError)) return undefined;
  const delay = standardDetailsOf(thrown).retryInfo?.retryDelay;
  return delay && Math.min(Math.max(durationMs(delay), 0), maxHintMs);
}
