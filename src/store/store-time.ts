import { type Clock, monotonicMs } from "../internal/clock.js";

/**
 * A time in whole microseconds since the Unix epoch that follows the date and never goes back. If
 * the date was set back, the time advances by the monotonic clock until the date catches up, so
 * that deadlines and retentions are not delayed.
 */
export interface StoreTime {
  /** Never goes back, and is never before the last stamp. */
  now(): number;
  /** A stamp: greater than all stamps before it, and than `after`. */
  next(after?: number): number;
}

/** A date that is less behind was corrected, not set back: the time waits for it. In microseconds. */
const mostCorrectedMicros = 1_000_000;

/** @param lastMicros The last stamp of an earlier process. Default: none. */
export function createStoreTime(clock: Clock, lastMicros = 0): StoreTime {
  let stamp = lastMicros;
  let time = lastMicros;
  let timeMs = monotonicMs(clock);
  const now = () => {
    time = Math.max(time, stamp);
    const ms = monotonicMs(clock);
    const dateMicros = Math.round(clock.nowMs() * 1000);
    if (dateMicros < time - mostCorrectedMicros) {
      time += Math.max(0, Math.round((ms - timeMs) * 1000));
    } else {
      time = Math.max(time, dateMicros);
    }
    timeMs = ms;
    return time;
  };
  return {
    now,
    next(after = 0) {
      stamp = Math.max(stamp + 1, after + 1, now());
      return stamp;
    },
  };
}

/** The last microsecond that a number holds exactly, in the year 2255. */
export const lastTimeMicros = Number.MAX_SAFE_INTEGER;

/** Returns the time that is this long after another time, at most `lastTimeMicros`. */
export function later(timeMicros: number, delayMs: number): number {
  return Math.min(timeMicros + Math.round(delayMs * 1000), lastTimeMicros);
}
