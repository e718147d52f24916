import { Code, type ConnectError } from "@connectrpc/connect";
import { longestMs, optionInRange } from "../internal/option-bounds.js";

/** Decides when the client polls again. Callers may implement their own. */
export interface PollPolicy {
  /**
   * Returns the delay before poll number `poll`, in milliseconds, at least 1. The first poll of a
   * wait has number 1; failed polls count.
   */
  delayMs(poll: number): number;
  /**
   * Returns whether a poll that failed with `error` should be repeated. Not called for NOT_FOUND,
   * nor for a failed WaitOperation, which GetOperation follows. INVALID_ARGUMENT and UNIMPLEMENTED,
   * by which Connect's transports also report a proxy's page or a response that was cut off, end a
   * wait when they come three times without a success in between, even if this returns false.
   */
  isTransient(error: ConnectError): boolean;
}

/** Options of the default poll policy, exponential back-off with jitter. All fields are optional. */
export interface BackoffOptions {
  /**
   * Delay before the first poll, in milliseconds, at least 1. Default: 1000, or `maxDelayMs` if that
   * is less.
   */
  initialDelayMs?: number | undefined;
  /** Longest delay, in milliseconds, at least `initialDelayMs`. Default: 20,000. */
  maxDelayMs?: number | undefined;
  /** Factor from each delay to the next, at least 1. Default: 1.5. */
  multiplier?: number | undefined;
  /**
   * Largest share of a delay that chance cuts off, from 0 to 1, so that many clients do not poll at
   * the same time. Default: 0.2.
   */
  jitter?: number | undefined;
  /** Returns a random number from 0 up to 1. Default: `Math.random`. */
  random?: (() => number) | undefined;
}

/**
 * Returns the default poll policy. It repeats a poll after each transient failure: the server or a
 * proxy was unavailable, the connection broke, or the poll took too long.
 *
 * @throws RangeError if an option is out of bounds, with its name.
 * @example
 * const poll = createBackoff({ initialDelayMs: 200, maxDelayMs: 5000 });
 * const client = createOperationsClient(transport, { poll });
 */
export function createBackoff(options: BackoffOptions = {}): PollPolicy {
  const { maxDelayMs: most = longestMs } = options;
  const initialDelayMs = optionInRange(
    options,
    "initialDelayMs",
    Math.min(1000, most),
    1,
    longestMs,
  );
  const longestDelayMs = Math.max(20_000, initialDelayMs);
  const maxDelayMs = optionInRange(
    options,
    "maxDelayMs",
    longestDelayMs,
    initialDelayMs,
    longestMs,
  );
  const multiplier = optionInRange(options, "multiplier", 1.5, 1);
  const jitter = optionInRange(options, "jitter", 0.2, 0, 1);
  const random = options.random ?? Math.random;
  return {
    delayMs(poll) {
      // The product is infinite for a large number of polls, and then the longest delay applies.
      const fullMs = Math.min(initialDelayMs * multiplier ** (poll - 1), maxDelayMs);
      return fullMs * (1 - jitter * random());
    },
    isTransient: isTransientByCode,
  };
}

/** Returns the policy that the caller gave, or makes one from its options. */
export function pollPolicyOf(options: PollPolicy | BackoffOptions | undefined): PollPolicy {
  return options !== undefined && "delayMs" in options ? options : createBackoff(options);
}

/**
 * Codes of a failed poll that may succeed later. Polling is idempotent, so it is repeated after more
 * of them than AIP-194 allows for calls that act. Connect maps a reset connection to ABORTED, the
 * errors of a proxy or of fetch to UNKNOWN or INTERNAL, and a stream that the server reset to
 * CANCELLED. The client's own aborts do not count as failures.
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

export function isTransientByCode({ code }: ConnectError): boolean {
  return transientCodes.has(code);
}
