import { Code, type ConnectError } from "@connectrpc/connect";
import { inRange, longestMs } from "../internal/option-bounds.js";

/** When to look at an operation again. Callers may bring one of their own. */
export interface PollPolicy {
  /**
   * The delay before look number `poll`, in milliseconds, at least 1: 1 for the
   * first look of a wait, and one more for each after it, failed ones included.
   */
  delayMs(poll: number): number;
  /**
   * Whether a look that failed this way is worth another one. What it says of
   * UNIMPLEMENTED for WaitOperation and of NOT_FOUND is not asked for.
   */
  isTransient(error: ConnectError): boolean;
}

/** The fields of the usual policy: exponential back-off with jitter. All may be left out. */
export interface BackoffOptions {
  /** Delay before the first look, in milliseconds, at least 1. Default: 1000, or the longest if that is less. */
  initialDelayMs?: number | undefined;
  /** Longest delay, in milliseconds, at least the first. Default: 20,000. */
  maxDelayMs?: number | undefined;
  /** Each delay is the one before times this; at least 1. Default: 1.5. */
  multiplier?: number | undefined;
  /**
   * How much of a delay is left to chance, from 0 to 1: each is cut by a random
   * share of at most this, so that many clients do not come at once. Default: 0.2.
   */
  jitter?: number | undefined;
  /** Where chance comes from: a number from 0 up to 1. Default: `Math.random`. */
  random?: (() => number) | undefined;
}

/**
 * The usual policy. It looks again after every failure that may pass by itself:
 * the server or a proxy was away, the connection broke, the look took too long.
 *
 * @throws RangeError for an option out of its bounds, naming it.
 */
export function createBackoff(options: BackoffOptions = {}): PollPolicy {
  const initialDelayMs = inRange(
    "initialDelayMs",
    options.initialDelayMs ?? Math.min(1000, options.maxDelayMs ?? 1000),
    1,
    longestMs,
  );
  const maxDelayMs = inRange(
    "maxDelayMs",
    options.maxDelayMs ?? Math.max(20_000, initialDelayMs),
    initialDelayMs,
    longestMs,
  );
  const multiplier = inRange("multiplier", options.multiplier ?? 1.5, 1);
  const jitter = inRange("jitter", options.jitter ?? 0.2, 0, 1);
  const random = options.random ?? Math.random;
  return {
    delayMs(poll) {
      // Beyond the largest number this is infinite, and the longest delay holds.
      const fullMs = Math.min(initialDelayMs * multiplier ** (poll - 1), maxDelayMs);
      return fullMs * (1 - jitter * random());
    },
    isTransient: ({ code }) => transientCodes.has(code),
  };
}

/** A policy, of whichever form the caller gave. */
export function pollPolicyOf(options: PollPolicy | BackoffOptions | undefined): PollPolicy {
  return options !== undefined && "delayMs" in options ? options : createBackoff(options);
}

/**
 * Codes of a failed look that say nothing lasting. Looking is idempotent, so more
 * of them are worth another try than AIP-194 allows for calls that act. Connect
 * makes ABORTED of a reset connection, UNKNOWN or INTERNAL of what a proxy or fetch
 * say, and CANCELLED of a stream that the server reset; our own aborts are not
 * taken for failures.
 */
const transientCodes: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Internal,
  Code.Unavailable,
]);
