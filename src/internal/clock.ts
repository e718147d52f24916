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
   *
   * A `background` callback is one that nobody waits for: where the platform can tell,
   * it does not keep the program alive. Default: false.
   */
  schedule(
    delayMs: number,
    callback: () => void,
    options?: { background?: boolean | undefined },
  ): () => void;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  schedule(delayMs, callback, options) {
    // A longer one would fire at once.
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestMs));
    if (options?.background) unref(timer);
    return () => clearTimeout(timer);
  },
};

/** In Node a timer can be told not to keep the program alive; elsewhere it may be a number. */
function unref(timer: unknown): void {
  if (typeof timer !== "object" || timer === null || !("unref" in timer)) return;
  if (typeof timer.unref === "function") timer.unref();
}
