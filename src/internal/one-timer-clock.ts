import type { Clock } from "./clock.js";
import { createTimerQueue, type QueuedTimer } from "./timer-queue.js";

/**
 * The same clock with one timer for all that is scheduled by it, as `createTimerQueue` has it: of
 * ten thousand who wait each has a place in an array. Callbacks in the background keep timers of
 * their own, as they must not keep the program alive.
 */
export function withOneTimer(clock: Clock): Clock {
  const queue = createTimerQueue(clock);
  return {
    nowMs: () => clock.nowMs(),
    schedule(delayMs, callback, options) {
      if (options?.background) return clock.schedule(delayMs, callback, options);
      const timer: QueuedTimer = { dueMs: 0, place: -1, onDue: callback };
      // As timers of platforms have it; sums of fractions could come out a little early.
      queue.add(timer, Math.ceil(delayMs));
      return () => queue.remove(timer);
    },
  };
}
