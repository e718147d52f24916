import { longestMs } from "../internal/option-bounds.js";
import type { LoopDelay, LoopDelayReading } from "./loop-delay.js";

/** Slacks that a call may continue after its limit. */
const maxExtensions = 20;

/** The time of one call. */
export interface CallLimit {
  readonly startMs: number;
  /** Time that the answer may take, in milliseconds. */
  readonly limitMs: number;
  /** Aborts when the call must end. */
  readonly signal: AbortSignal;
  /** Delay of the event loop during the call. */
  readonly delay: LoopDelayReading;
  /** Call it when the call has ended. */
  end(): void;
}

/**
 * Starts the time of a call. A call continues after its limit until its lateness exceeds twice the
 * delay of the event loop, so that a slow server is distinguished from a slow runner.
 *
 * @param deadlineMs Deadline that the client sets itself, in milliseconds. Undefined: none.
 */
export function beginCall(
  loopDelay: LoopDelay,
  wantedMs: number,
  slackMs: number,
  deadlineMs?: number,
): CallLimit {
  const limitMs = Math.min(wantedMs, longestMs);
  const limit = new AbortController();
  const delay = loopDelay.begin();
  const startMs = performance.now();
  const mostMs = Math.min(limitMs + maxExtensions * slackMs, longestMs);
  let timer: ReturnType<typeof setTimeout>;
  const onTime = () => {
    const tookMs = performance.now() - startMs;
    if (tookMs - limitMs >= 2 * delay.totalMs() || tookMs >= mostMs) limit.abort();
    else timer = setTimeout(onTime, slackMs);
  };
  timer =
    deadlineMs === undefined
      ? setTimeout(onTime, Math.min(limitMs + slackMs, mostMs))
      : setTimeout(() => limit.abort(), Math.min(deadlineMs, mostMs));
  return {
    startMs,
    limitMs,
    signal: limit.signal,
    delay,
    end() {
      clearTimeout(timer);
      delay.end();
    },
  };
}

/** Returns the reason why a connection failed, in words. */
export function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
}
