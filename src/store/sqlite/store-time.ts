import type { Clock } from "../../internal/clock.js";

/** The store's own time, in whole microseconds. */
export interface StoreTime {
  /** It does not go back, and is never behind what was stamped last. */
  now(): number;
  /** A stamp: greater than all before, and than `after`. */
  next(after?: number): number;
}

/** @param lastMicros What was stamped last, in an earlier life. */
export function createStoreTime(clock: Clock, lastMicros: number): StoreTime {
  let last = lastMicros;
  const now = () => Math.max(last, Math.round(clock.nowMs() * 1000));
  return {
    now,
    next(after = 0) {
      last = Math.max(last + 1, after + 1, now());
      return last;
    },
  };
}

/**
 * A time this long after another: at most the last that a number holds exactly, in the
 * year 2255.
 */
export function later(timeMicros: number, delayMs: number): number {
  return Math.min(timeMicros + Math.round(delayMs * 1000), Number.MAX_SAFE_INTEGER);
}
