import { type Clock, systemClock } from "../../src/internal/clock.js";

/**
 * A clock on which every foreground delay is over at once, so that a test can
 * let time pass and take none.
 */
export interface HastyClock extends Clock {
  /** The delays that were asked for, in milliseconds. */
  readonly delaysMs: readonly number[];
}

export function createHastyClock(): HastyClock {
  const delaysMs: number[] = [];
  return {
    ...systemClock,
    delaysMs,
    schedule(delayMs, callback, options) {
      if (options?.background) return systemClock.schedule(delayMs, callback, options);
      delaysMs.push(delayMs);
      return systemClock.schedule(0, callback);
    },
  };
}
