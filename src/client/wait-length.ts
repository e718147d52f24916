import { type Clock, monotonicMs } from "../internal/clock.js";
import { unlimited } from "../internal/option-bounds.js";

/**
 * The length of a client's WaitOperation calls.
 *
 * A proxy between client and server may cut calls after 10, 15 or 30 seconds, a server may refuse
 * WaitOperation alone, or ignore its timeout. A call that fails while GetOperation works limits the
 * length of the calls after it to four fifths of the time that it took. Below a second they are left
 * out. The limit is forgotten after 10 s, and after twice the time with each further failure, up to
 * 640 s: a path that has recovered is used again, and one that has not costs little.
 */
export interface WaitLength {
  /** The length of calls that nothing limits, in milliseconds. */
  readonly maxMs: number;
  /** Returns the length of the next call, in milliseconds; 0 if it must be left out. */
  nextMs(): number;
  /** Called when a call has got a response after `tookMs` milliseconds. */
  passed(tookMs: number): void;
  /** Called when a call has failed that GetOperation shows to be at fault. */
  failed(call: FailedWait): void;
}

/** A WaitOperation call that failed. */
export interface FailedWait {
  /** When the call was sent, by the clock's monotonic time. */
  readonly sentMs: number;
  /** How long it took to fail, in milliseconds. */
  readonly tookMs: number;
  /** How long the server was asked to hold it, in milliseconds. */
  readonly heldMs: number;
}

/**
 * Least time between two WaitOperation calls if the server responds early, which operations.proto
 * permits, even at once.
 */
export const minWaitMs = 1000;

const firstMemoryMs = 10_000;
const longestMemoryMs = 640_000;

export function createWaitLength(clock: Clock, maxMs: number): WaitLength {
  let limitMs = unlimited;
  let forgetAtMs = 0;
  let memoryMs = firstMemoryMs;
  /** When the limit last changed: older calls say nothing about it. */
  let failedAtMs = -unlimited;
  let failedAfterMs = 0;
  return {
    maxMs,
    nextMs() {
      if (monotonicMs(clock) >= forgetAtMs) limitMs = unlimited;
      const ms = Math.min(maxMs, 0.8 * limitMs);
      return ms < Math.min(maxMs, minWaitMs) ? 0 : ms;
    },
    passed(tookMs) {
      if (limitMs > longestMemoryMs && tookMs > failedAfterMs) memoryMs = firstMemoryMs;
    },
    failed({ sentMs, tookMs, heldMs }) {
      if (sentMs < failedAtMs) return;
      // If a server ignores the timeout, the call fails after its whole length. The next call gets
      // a quarter of that length.
      limitMs = tookMs < heldMs ? tookMs : heldMs / 4;
      failedAtMs = monotonicMs(clock);
      failedAfterMs = tookMs;
      forgetAtMs = failedAtMs + memoryMs;
      memoryMs = Math.min(2 * memoryMs, longestMemoryMs);
    },
  };
}
