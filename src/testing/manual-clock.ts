import type { Clock } from "../internal/clock.js";
import { nextTurn } from "../internal/next-turn.js";

/** A clock that stands still until a test moves it on. */
export interface ManualClock extends Clock {
  /**
   * Move time on by `ms` milliseconds. What falls due on the way is called in the
   * order of its time, and all that follows from it in this process gets its turn
   * before time goes on.
   */
  advance(ms: number): Promise<void>;
  /**
   * How many callbacks are scheduled: 0 when nothing waits any more. Those in the
   * background are not counted unless they are asked for.
   */
  scheduled(options?: { background?: boolean | undefined }): number;
}

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
  readonly background: boolean;
}

/** @param startMs The first time it shows, in milliseconds since the Unix epoch. */
export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Set<Timer>();
  let nowMs = startMs;

  const earliest = (untilMs: number): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs <= untilMs && (first === undefined || timer.dueMs < first.dueMs)) {
        first = timer;
      }
    }
    return first;
  };

  return {
    nowMs: () => nowMs,
    schedule(delayMs, callback, options) {
      const background = options?.background ?? false;
      const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), callback, background };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await nextTurn();
      for (let timer = earliest(untilMs); timer; timer = earliest(untilMs)) {
        timers.delete(timer);
        nowMs = Math.max(nowMs, timer.dueMs);
        timer.callback();
        await nextTurn();
      }
      nowMs = untilMs;
    },
    scheduled: (options) =>
      [...timers].filter(({ background }) => !background || options?.background).length,
  };
}
