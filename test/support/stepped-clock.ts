import type { Clock } from "../../src/internal/clock.js";

/**
 * A clock that jumps from one scheduled callback to the next. It costs a fraction
 * of a manual clock's time, for tests that live through thousands of hours.
 */
export interface SteppedClock extends Clock {
  monotonicMs(): number;
  /** Sets the date: changes `nowMs`, not the callbacks. */
  setDate(ms: number): void;
  /**
   * Goes to the time of the earliest callback, calls it, and lets everything that follows
   * in this process happen. Returns false if no callback is scheduled.
   */
  step(): Promise<boolean>;
  /** Lets all pending callbacks run, without advancing the time. */
  settle(): Promise<void>;
  /** How many callbacks are scheduled. */
  scheduled(): number;
}

export function createSteppedClock(startMs = Date.UTC(2026, 0, 1)): SteppedClock {
  const timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();
  let nowMs = startMs;
  let dateShiftMs = 0;
  // Promises settle before it comes round to the next task, and nothing here awaits I/O.
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    nowMs: () => nowMs + dateShiftMs,
    monotonicMs: () => nowMs,
    setDate(ms) {
      dateShiftMs = ms - nowMs;
    },
    schedule(delayMs, callback) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), callback };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    async step() {
      await settle();
      let [first] = timers;
      for (const timer of timers) if (first && timer.dueMs < first.dueMs) first = timer;
      if (first === undefined) return false;
      timers.delete(first);
      nowMs = Math.max(nowMs, first.dueMs);
      first.callback();
      await settle();
      return true;
    },
    settle,
    scheduled: () => timers.size,
  };
}
