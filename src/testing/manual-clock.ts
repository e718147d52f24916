import type { Clock } from "../internal/clock.js";
import { yieldToEventLoop } from "../internal/yield-to-event-loop.js";

/** A clock that advances only when a test calls `advance()`. */
export interface ManualClock extends Clock {
  monotonicMs(): number;
  /**
   * Advances the clock by `ms` milliseconds. Runs the callbacks that fall due, in order of their
   * due time, and lets the event loop turn after each.
   */
  advance(ms: number): Promise<void>;
  /**
   * Sets the date, as an administrator or NTP does: changes `nowMs` to `ms` milliseconds since the
   * Unix epoch. Pending callbacks and `monotonicMs` do not change.
   */
  setDate(ms: number): void;
  /**
   * Returns the number of scheduled callbacks. Background callbacks count only if `background` is
   * true. Default: false.
   */
  scheduled(options?: { background?: boolean | undefined }): number;
}

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
  readonly background: boolean;
}

/**
 * Returns a manual clock.
 *
 * @param startMs Its first date, in milliseconds since the Unix epoch. Default: 2026-01-01.
 * @example
 * const clock = createManualClock();
 * const client = createOperationsClient(transport, { clock });
 * await clock.advance(60_000);
 */
export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Set<Timer>();
  let nowMs = startMs;
  let dateShiftMs = 0;

  const earliest = (untilMs: number): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs <= untilMs && (first === undefined || timer.dueMs < first.dueMs)) {
        first = timer;
      }
    }
    return first;
  };

  return {
    nowMs: () => nowMs + dateShiftMs,
    monotonicMs: () => nowMs,
    setDate(ms) {
      dateShiftMs = ms - nowMs;
    },
    schedule(delayMs, callback, options) {
      const background = options?.background ?? false;
      const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), callback, background };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await yieldToEventLoop();
      for (let timer = earliest(untilMs); timer; timer = earliest(untilMs)) {
        timers.delete(timer);
        nowMs = Math.max(nowMs, timer.dueMs);
        timer.callback();
        await yieldToEventLoop();
      }
      nowMs = untilMs;
    },
    scheduled: (options) =>
      [...timers].filter(({ background }) => !background || options?.background).length,
  };
}
