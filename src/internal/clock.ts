import { longestMs } from "./option-bounds.js";

/**
 * The time that the package's own waiting runs on. Tests put a manual clock in
 * its place, so that no test sleeps.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /**
   * Call `callback` once after `delayMs` milliseconds (0 and less: as soon as
   * possible, never at once). The returned function takes that back; calling it
   * late or twice does nothing.
   */
  schedule(delayMs: number, callback: () => void): () => void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  schedule(delayMs, callback) {
    // A longer one would fire at once.
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestMs));
    return () => clearTimeout(timer);
  },
};
