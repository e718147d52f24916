import { type Clock, monotonicMs } from "./clock.js";
import { createTimerQueue, type QueuedTimer } from "./timer-queue.js";

/**
 * Returns a clock that schedules all callbacks over one timer of `clock` (see `createTimerQueue`).
 * Background callbacks keep their own timers, because they must not keep the program alive.
 */
export function withOneTimer(clock: Clock): Clock {
  const queue = createTimerQueue(clock);
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => monotonicMs(clock),
    schedule(delayMs, callback, options) {
      if (options?.background) return clock.schedule(delayMs, callback, options);
      const timer: QueuedTimer = { dueMs: 0, place: -1, onDue: callback };
      // Whole milliseconds, like the platforms' timers: sums of fractions could fire a little early.
      queue.add(timer, Math.ceil(delayMs));
      return () => queue.remove(timer);
    },
  };
}
