import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { atLeastOne, inRange } from "../internal/option-bounds.js";
import { standardDetailsOf } from "../status/standard-details.js";
import type { RetryOptions } from "./method-options.js";
import { milliseconds } from "./methods.js";

/** When work that failed is tried again. */
export interface RetryPolicy {
  /** How many attempts there are in all. */
  readonly maxAttempts: number;
  /** The pause after this many attempts, in milliseconds; undefined where there is no other. */
  delayMs(thrown: unknown, attempts: number): number | undefined;
}

/** The longest pause that an error can ask for by RetryInfo, in milliseconds: a day. */
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
      // Finite: endlessly many times nothing would be no number.
      const factor = Math.min(multiplier ** (attempts - 1), Number.MAX_VALUE);
      return hintMs(thrown) ?? Math.min(maxDelayMs, initialDelayMs * factor);
    },
  };
}

/** The one code that says that trying again is all it takes (AIP-194). */
function isUnavailable(thrown: unknown): boolean {
  return thrown instanceof ConnectError && thrown.code === Code.Unavailable;
}

/** The delay that an error asks for by RetryInfo. */
function hintMs(thrown: unknown): number | undefined {
  if (!(thrown instanceof ConnectError)) return undefined;
  const delay = standardDetailsOf(thrown).retryInfo?.retryDelay;
  return delay && Math.min(Math.max(durationMs(delay), 0), maxHintMs);
}
