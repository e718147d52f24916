import { ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { sleep } from "../internal/sleep.js";
import { retryDelayMs } from "./retry-delay.js";
import type { ClientCore } from "./tracked-operation.js";

/** When a single call is repeated. */
export interface RetryOptions {
  /** Most calls, at least 1. */
  readonly maxTries: number;
  /** Whether a failed call should be repeated. */
  readonly isRetryable: (error: ConnectError) => boolean;
  /** Time limit of all calls and the pauses between them, in milliseconds. Default: no limit. */
  readonly timeoutMs: number | undefined;
  /** Aborts the pause between two calls. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Repeats a call that fails, after the delay of the client's poll policy or the longer one that the
 * server asks for. A pause that the time limit does not leave room for is not begun: the error of
 * the call is thrown at once.
 *
 * @param attempt Makes the call with the time that is left, in milliseconds; undefined: no limit.
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
      if (tried >= maxTries || signal?.aborted || !isRetryable(error)) throw thrown;
      const delayMs = Math.max(
        retryDelayMs(error, clock.nowMs()),
        settings.poll.delayMs(tried) || 1,
      );
      const goneMs = monotonicMs(clock) - startMs + delayMs;
      leftMs = timeoutMs && Math.floor(timeoutMs - goneMs);
      if (leftMs !== undefined && leftMs < 1) throw thrown;
      await sleep(clock, delayMs, signal);
    }
  }
}
