// The poll loop of one operation.
//
// Problem: many waits follow one operation, each with its own poll interval, and the network between
// client and server cuts, refuses or delays calls.
//
// Approach: one loop polls while there are followers, at the interval of the fastest. It prefers
// WaitOperation, which responds as soon as the operation is done. After a WaitOperation call that
// failed, the loop polls by GetOperation until that succeeds, and only failures of GetOperation are
// failures of the followers. A client holds a limited number of calls; a poller that is denied one
// polls by GetOperation, and one that has had its call lets others take their turn.
//
// Invariant: a pause lasts at least as long as the server asked for, and two calls that come back
// at once are at least `minWaitMs` or a follower's poll interval apart.
import { ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import type { Operation } from "../protos.js";
import { isTooLarge } from "./errors.js";
import { notNeeded } from "./not-needed.js";
import type { OperationCalls, Polled } from "./operation-calls.js";
import { isTransientCode } from "./poll-policy.js";
import { retryDelayMs } from "./retry-delay.js";
import { type FailedWait, minWaitMs } from "./wait-length.js";

/** A wait that follows an operation, with its own poll interval. */
export interface PollFollower {
  /** Whether states before the final one matter. */
  readonly wantsProgress: boolean;
  /** The server asked for no poll before this monotonic time, in milliseconds. */
  readonly notBeforeMs: number;
  /** Returns the delay before its next poll, in milliseconds. */
  delayMs(): number;
  /** Called with the result of each successful poll. */
  onPolled(operation: Operation): void;
  /** Called when a WaitOperation call failed. The loop calls GetOperation next. */
  onFailedWait(error: ConnectError): void;
  /** Called when a poll by GetOperation failed. The follower decides whether to leave. */
  onFailed(error: ConnectError): void;
  /** Called when this client has deleted the operation. The follower must leave. */
  onDeleted(): void;
}

/** The poll loop that all followers of an operation share. It runs while there is a follower. */
export interface OperationPoller {
  /** Adds a follower. The returned function removes it. */
  join(follower: PollFollower): () => void;
  /**
   * Polls at once by GetOperation, for at most `limitMs` milliseconds, whatever the loop does. All
   * followers receive the result. Resolves with the error of a poll that failed, unless `signal` has
   * aborted.
   */
  pollNow(signal: AbortSignal, limitMs: number): Promise<ConnectError | undefined>;
  /** Ends the followers' waits because this client has deleted the operation. */
  deleted(): void;
  /** Returns the total of the pauses between polls, including the current one, in milliseconds. */
  pausedMs(): number;
  /**
   * Returns the length of the pause before the latest poll, in milliseconds: the operation may have
   * been done for so long. 0 if the server held a WaitOperation call.
   */
  lastPauseMs(): number;
}

/**
 * A server that holds calls for this time, in milliseconds, is asked again at once. A shorter call
 * is followed by a pause.
 */
const usefulWaitMs = 5000;

/** One run of the poll loop: from the first follower joining until the last one leaves. */
interface LoopRun {
  /** Aborts the current call or pause when no follower is left. */
  readonly stop: AbortController;
  /** Shortens the current pause or WaitOperation call for a follower with a shorter poll interval. */
  shorten: ((follower: PollFollower) => void) | undefined;
  /** Whether the next poll is by GetOperation. */
  getsNext: boolean;
  /** The call that failed, until GetOperation shows whether the server is at fault. */
  failedWait: FailedWait | undefined;
}

/** The pause before a poll, in milliseconds. */
interface Pause {
  readonly delayMs: number;
  /** Lower bound for a pause that a faster follower shortens. */
  readonly leastMs: number;
}

const noPause: Pause = { delayMs: 0, leastMs: 0 };

/** How a poller is made. */
export interface PollerInit {
  /** Name of the operation. */
  readonly name: string;
  /** Called when the last follower has left. */
  readonly onIdle: () => void;
}

export function createOperationPoller(
  calls: OperationCalls,
  { name, onIdle }: PollerInit,
): OperationPoller {
  const { clock, waitLength } = calls;
  const followers = new Set<PollFollower>();
  let isDone = false;
  let loop: LoopRun | undefined;
  let pausedMs = 0;
  let lastPauseMs = 0;
  /** When the current pause began; undefined if the loop does not pause. */
  let pauseStartMs: number | undefined;
  const nowMs = () => monotonicMs(clock);
  const currentPauseMs = () => (pauseStartMs === undefined ? 0 : nowMs() - pauseStartMs);

  const publish = (operation: Operation) => {
    isDone ||= operation.done;
    for (const follower of [...followers]) follower.onPolled(operation);
  };
  const publishFailure = (error: ConnectError) => {
    for (const follower of [...followers]) follower.onFailed(error);
  };

  /** Returns the shortest delay of the followers that matter. */
  const shortestMs = (matters: (follower: PollFollower) => boolean, longestMs: number) => {
    let shortest = longestMs;
    for (const follower of followers) {
      if (matters(follower)) shortest = Math.min(shortest, follower.delayMs());
    }
    return shortest;
  };
  /** The pause at the followers' poll interval, of which `goneMs` have passed. */
  const atInterval = (leastMs = 0, goneMs = 0): Pause => {
    const delayMs = shortestMs(() => true, Number.POSITIVE_INFINITY) - goneMs;
    return { delayMs: Math.max(delayMs, leastMs), leastMs };
  };

  /** The pause before a poll that may be by WaitOperation. */
  const nextPause = (me: LoopRun, leastMs: number): Pause =>
    calls.waitMs(me) > 0 ? { delayMs: leastMs, leastMs } : atInterval(leastMs);

  /** Resolves after the pause, or when no follower is left. Returns undefined for no pause. */
  const pause = (me: LoopRun, { delayMs, leastMs }: Pause) => {
    if (delayMs <= 0) {
      lastPauseMs = 0;
      return undefined;
    }
    return new Promise<void>((resolve) => {
      const startMs = nowMs();
      pauseStartMs = startMs;
      let untilMs = startMs + delayMs;
      const end = () => {
        unschedule();
        me.shorten = undefined;
        me.stop.signal.removeEventListener("abort", end);
        lastPauseMs = nowMs() - startMs;
        pausedMs += lastPauseMs;
        pauseStartMs = undefined;
        resolve();
      };
      let unschedule = clock.schedule(delayMs, end);
      me.shorten = (follower) => {
        const soonerMs = startMs + Math.max(leastMs, follower.delayMs());
        if (soonerMs >= untilMs) return;
        untilMs = soonerMs;
        unschedule();
        unschedule = clock.schedule(untilMs - nowMs(), end);
      };
      me.stop.signal.addEventListener("abort", end, { once: true });
    });
  };

  /** Calls WaitOperation; undefined if the call was shortened or the server has no such method. */
  const wait = async (me: LoopRun, heldMs: number): Promise<Polled | undefined> => {
    const controller = new AbortController();
    const abort = () => controller.abort(notNeeded);
    me.shorten = (follower) => {
      if (follower.wantsProgress && follower.delayMs() < heldMs) abort();
    };
    me.stop.signal.addEventListener("abort", abort, { once: true });
    try {
      return await calls.wait(name, heldMs, controller.signal, me);
    } catch (error) {
      if (controller.signal.aborted) return undefined;
      throw error;
    } finally {
      me.shorten = undefined;
      me.stop.signal.removeEventListener("abort", abort);
    }
  };

  /** Polls once by WaitOperation. Resolves with the pause before the next poll. */
  const pollByWait = async (me: LoopRun, isOver: () => boolean, mostMs: number): Promise<Pause> => {
    const sentMs = nowMs();
    const wantedMs = shortestMs(({ wantsProgress }) => wantsProgress, waitLength.maxMs);
    const heldMs = Math.min(wantedMs, mostMs);
    let polled: Polled | undefined;
    try {
      polled = await wait(me, heldMs);
    } catch (thrown) {
      if (isOver()) return noPause;
      return waitFailed(me, ConnectError.from(thrown), {
        sentMs,
        tookMs: nowMs() - sentMs,
        heldMs,
      });
    }
    if (isOver()) return noPause;
    if (polled === undefined) return calls.canWait() ? noPause : atInterval();
    const tookMs = nowMs() - sentMs;
    waitLength.passed(tookMs);
    const isEarly = tookMs < Math.min(wantedMs / 2, usefulWaitMs);
    if (!isEarly) lastPauseMs = 0;
    publish(polled.operation);
    if (isOver()) return noPause;
    me.getsNext = calls.isCrowded();
    const leastMs = Math.max(polled.retryAfterMs, isEarly ? minWaitMs - tookMs : 0);
    if (isEarly) return atInterval(leastMs, tookMs);
    return me.getsNext ? atInterval(leastMs) : { delayMs: leastMs, leastMs };
  };

  /** Returns the pause before GetOperation decides about a WaitOperation call that failed. */
  const waitFailed = (me: LoopRun, error: ConnectError, failed: FailedWait): Pause => {
    // GetOperation would download the same response.
    if (isTooLarge(error)) publishFailure(error);
    else for (const follower of [...followers]) follower.onFailedWait(error);
    me.getsNext = true;
    me.failedWait = failed;
    const leastMs = retryDelayMs(error, clock.nowMs());
    const { delayMs } = atInterval(leastMs);
    if (failed.tookMs < minWaitMs && isTransientCode(error.code)) return { delayMs, leastMs };
    // The call was cut off, or WaitOperation alone refused: the operation may be done.
    const soonMs = isTransientCode(error.code) ? minWaitMs : 0;
    return { delayMs: Math.max(leastMs, Math.min(delayMs, soonMs)), leastMs };
  };

  /** Polls once by GetOperation. Resolves with the pause before the next poll. */
  const pollByGet = async (me: LoopRun, isOver: () => boolean): Promise<Pause> => {
    const { failedWait } = me;
    me.failedWait = undefined;
    try {
      const polled = await calls.get(name, me.stop.signal);
      if (isOver()) return noPause;
      if (failedWait !== undefined) waitLength.failed(failedWait);
      me.getsNext = false;
      publish(polled.operation);
      return isOver() ? noPause : nextPause(me, polled.retryAfterMs);
    } catch (thrown) {
      if (isOver()) return noPause;
      const error = ConnectError.from(thrown);
      me.getsNext = true;
      publishFailure(error);
      return isOver() ? noPause : atInterval(retryDelayMs(error, clock.nowMs()));
    }
  };

  const run = async (me: LoopRun, leastMs: number) => {
    const isOver = () => loop !== me || isDone;
    let before = nextPause(me, leastMs);
    while (!isOver()) {
      const paused = pause(me, before);
      // Not awaited without need: pollers that begin together must see each other's held calls.
      if (paused !== undefined) await paused;
      if (isOver()) break;
      const waitMs = me.getsNext ? 0 : calls.waitMs(me);
      before = await (waitMs > 0 ? pollByWait(me, isOver, waitMs) : pollByGet(me, isOver));
    }
    calls.leave(me);
    if (loop === me) loop = undefined;
  };

  return {
    join(follower) {
      followers.add(follower);
      if (loop === undefined) {
        loop = {
          stop: new AbortController(),
          shorten: undefined,
          getsNext: false,
          failedWait: undefined,
        };
        void run(loop, Math.max(0, follower.notBeforeMs - nowMs()));
      } else {
        loop.shorten?.(follower);
      }
      return () => {
        if (!followers.delete(follower) || followers.size > 0) return;
        const ended = loop;
        loop = undefined;
        ended?.stop.abort(notNeeded);
        onIdle();
      };
    },
    deleted() {
      for (const follower of [...followers]) follower.onDeleted();
    },
    pausedMs: () => pausedMs + currentPauseMs(),
    lastPauseMs: () => lastPauseMs,
    async pollNow(signal, limitMs) {
      try {
        const { operation } = await calls.get(name, signal, limitMs);
        if (pauseStartMs !== undefined) lastPauseMs = currentPauseMs();
        publish(operation);
      } catch (error) {
        if (!signal.aborted) return ConnectError.from(error);
      }
      return undefined;
    },
  };
}
