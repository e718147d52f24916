import { longestMs } from "./option-bounds.js";

/**
 * The time source of all pauses and limits of this package. Tests use a manual clock instead, so
 * that no test sleeps.
 */
export interface Clock {
  /** Returns the time of day, in milliseconds since the Unix epoch. */
  nowMs(): number;
  /**
   * Returns a time in milliseconds that never goes back and does not change when the machine's
   * date is set. Only differences of it have a meaning. Default: `nowMs`.
   */
  monotonicMs?(): number;
  /**
   * Calls `callback` once after `delayMs` milliseconds (0 and less: as soon as possible, never
   * within this call). The returned function cancels that; calling it late or twice has no effect.
   *
   * A `background` callback does not keep the program alive, if the platform supports that.
   * Default: false.
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
  monotonicMs: () => performance.now(),
  schedule(delayMs, callback, options) {
    // Node and browsers run the callback at once if the delay is above this limit.
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), longestMs));
    if (options?.background) unref(timer);
    return () => clearTimeout(timer);
  },
};

/** Returns the time that intervals are measured by. */
export function monotonicMs(clock: Clock): number {
  return clock.monotonicMs?.() ?? clock.nowMs();
}

/** Stops a timer of Node from keeping the program alive. Elsewhere a timer may be a number. */
function unref(timer: unknown): void {
  const { unref }: { unref?: () => void } = Object(timer);
  unref?.call(timer);
}
