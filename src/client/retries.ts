import { Code, ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { retryDelayMs } from "./retry-delay.js";
import type { ClientCore } from "./tracked-operation.js";

/** When a single call is repeated. */
export interface RetryOptions {
  /** Most calls, at least 1. */
  readonly maxTries: number;
  /** Whether a failed call should be repeated. One whose stream the server refused always is. */
  readonly isRetryable: (error: ConnectError) => boolean;
  /**
   * Time limit of all calls and the pauses between them, in milliseconds. Default, and if it is 0 or
   * less: no limit.
   */
  readonly timeoutMs?: number | undefined;
  /** Aborts the pause between two calls. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Repeats a call that fails, after a delay. The delay is the poll policy's or the server's,
 * whichever is longer. If the time limit is too short for the delay, the error of the call is
 * thrown at once.
 *
 * @param attempt Makes the call with the time that is left, in milliseconds. If there is no limit, it is
 *   `timeoutMs` as given.
 */
export async function withRetries<T>(
  { calls, settings }: ClientCore,
  { maxTries, isRetryable, timeoutMs, signal }: RetryOptions,
  attempt: (leftMs: number | undefined) => Promise<T>,
): Promise<T> {
  const { clock } = calls;
  const startMs = monotonicMs(clock);
  let leftMs = timeoutMs;
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt(leftMs);
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      // A server refuses a stream for example if it sent GOAWAY at the same time. It has not processed
      // such a call (RFC 9113, section 8.7).
      const isRefused = /REFUSED_STREAM/.test(String(error.cause));
      const failure = isRefused ? unavailable(error) : thrown;
      if (tried >= maxTries || signal?.aborted || !(isRefused || isRetryable(error))) throw failure;
      const delayMs = Math.max(
        retryDelayMs(error, clock.nowMs()),
        settings.poll.delayMs(tried) || 1,
      );
      // Connect treats a timeout of 0 or less as no limit.
      if (timeoutMs !== undefined && timeoutMs > 0) {
        leftMs = Math.floor(timeoutMs - (monotonicMs(clock) - startMs + delayMs));
        if (leftMs < 1) throw failure;
      }
      await sleep(clock, delayMs, signal);
    }
  }
}

/** Connect's transport reports a refused stream as INTERNAL; gRPC's mapping is UNAVAILABLE. */
function unavailable({ rawMessage, metadata, cause }: ConnectError): ConnectError {
  return new ConnectError(rawMessage, Code.Unavailable, metadata, undefined, cause);
}
