import type { Clock } from "../internal/clock.js";

/** A store's own time, in whole microseconds. */
export interface StoreTime {
  /** Never goes back, and is never before the last stamp. */
  now(): number;
  /** A stamp: greater than all stamps before it, and than `after`. */
  next(after?: number): number;
}

/** @param lastMicros The last stamp of an earlier process. Default: none. */
export function createStoreTime(clock: Clock, lastMicros = 0): StoreTime {
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

/** The last microsecond that a number holds exactly, in the year 2255. */
export const lastTimeMicros = Number.MAX_SAFE_INTEGER;

/** The time that is this long after another one, `lastTimeMicros` at most. */
export function later(timeMicros: number, delayMs: number): number {
  return Math.min(timeMicros + Math.round(delayMs * 1000), lastTimeMicros);
}
