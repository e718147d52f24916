/** How often to look at an operation, and when to give up waiting. */
export interface PollOptions {
  /**
   * Time until the second look, in milliseconds, at least 1. Where the server has
   * WaitOperation this is how long progress may go unseen; the end is seen at once
   * all the same. Default: 1000.
   */
  initialDelayMs?: number | undefined;
  /** Longest time between two looks, in milliseconds. Default: 20,000. */
  maxDelayMs?: number | undefined;
  /** Each delay is the one before times this; at least 1. Default: 1.5. */
  multiplier?: number | undefined;
  /**
   * Stops the waiting with `Code.Canceled`. The operation keeps running on the
   * server; `cancel()` asks the server to stop it.
   */
  signal?: AbortSignal | undefined;
}

/** The delays of a poll loop, with their defaults filled in. */
export interface PollSchedule {
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
}

/**
 * @throws RangeError for a delay below 1 ms, a multiplier below 1, or a longest
 *   delay below the first.
 */
export function pollSchedule(options: PollOptions): PollSchedule {
  const initialDelayMs = atLeast("initialDelayMs", options.initialDelayMs ?? 1000, 1);
  const maxDelayMs = options.maxDelayMs ?? Math.max(20_000, initialDelayMs);
  return {
    initialDelayMs,
    maxDelayMs: atLeast("maxDelayMs", maxDelayMs, initialDelayMs),
    multiplier: atLeast("multiplier", options.multiplier ?? 1.5, 1),
  };
}

/** The delay that follows this one. */
export function nextDelayMs(delayMs: number, schedule: PollSchedule): number {
  return Math.min(delayMs * schedule.multiplier, schedule.maxDelayMs);
}

function atLeast(option: string, value: number, least: number): number {
  if (value >= least) return value;
  throw new RangeError(`${option} must be at least ${least}, not ${value}`);
}
