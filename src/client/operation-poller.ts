// The poll loop of one operation.
//
// Problem: many waits follow one operation, each with its own poll interval. The network between
// client and server cuts, refuses or delays calls.
//
// Approach: one loop polls while there are followers, at the interval of the fastest follower. It
// prefers WaitOperation, which responds as soon as the operation is done. After a failed
// WaitOperation call, the loop polls by GetOperation until a GetOperation call succeeds. Followers
// fail only because of failed GetOperation calls. A client holds a limited number of calls. A
// poller that is denied a held call polls by GetOperation, and a poller whose held call has ended
// lets other pollers hold one.
//
// Invariant: a pause lasts at least as long as the server asked for. Two calls that return at once
// are at least `minWaitMs` or a follower's poll interval apart.
import { ConnectError } from "@connectrpc/connect";
import { monotonicMs } from "../internal/clock.js";
import { unlimited } from "../internal/option-bounds.js";
import type { Operation } from "../protos.js";
import { notNeeded } from "./not-needed.js";
import type { OperationCalls, Polled } from "./operation-calls.js";
import { isTransientByCode } from "./poll-policy.js";
import { retryDelayMs } from "./retry-delay.js";
import { isUnreadableHere } from "./unreadable-responses.js";
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
  /** Ends the current call or pause. */
  stop?: () => void;
  /** Shortens the current pause or WaitOperation call for a follower with a shorter poll interval. */
  shorten?: ((follower: PollFollower) => void) | undefined;
  /** Lower bound of the next pause, also for a follower that shortens it: in milliseconds. */
  leastMs: number;
  /** Whether the next poll is by GetOperation. */
  getsNext: boolean;
  /** The call that failed, until GetOperation shows whether the server is at fault. */
  failedWait?: FailedWait | undefined;
}

/**
 * @param name Name of the operation.
 * @param onIdle Called when the last follower has left.
 */
export function createOperationPoller(
  calls: OperationCalls,
  name: string,
  onIdle: () => void,
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

  const isOver = (me: LoopRun) => loop !== me || isDone;

  const publish = (operation: Operation) => {
    isDone ||= operation.done;
    for (const follower of [...followers]) follower.onPolled(operation);
  };

  const publishFailure = (error: ConnectError, event: "onFailed" | "onFailedWait") => {
    for (const follower of [...followers]) follower[event](error);
  };

  /** Returns the shortest delay of the followers that matter. */
  const shortestMs = (
    longestMs = unlimited,
    matters: (follower: PollFollower) => boolean = () => true,
  ) => {
    let shortest = longestMs;
    for (const follower of followers) {
      if (matters(follower)) shortest = Math.min(shortest, follower.delayMs());
    }
    return shortest;
  };
  /** Returns the pause at the followers' poll interval, of which `goneMs` have passed. */
  const atIntervalMs = (me: LoopRun, goneMs = 0) => Math.max(shortestMs() - goneMs, me.leastMs);

  /** Returns a promise that resolves after the pause or when no follower is left. */
  const pause = (me: LoopRun, delayMs: number) =>
    new Promise<void>((resolve) => {
      const startMs = nowMs();
      pauseStartMs = startMs;
      let untilMs = startMs + delayMs;
      const end = () => {
        unschedule();
        me.shorten = undefined;
        lastPauseMs = currentPauseMs();
        pausedMs += lastPauseMs;
        pauseStartMs = undefined;
        resolve();
      };
      let unschedule = clock.schedule(delayMs, end);
      me.stop = end;
      me.shorten = (follower) => {
        const soonerMs = startMs + Math.max(me.leastMs, follower.delayMs());
        if (soonerMs >= untilMs) return;
        untilMs = soonerMs;
        unschedule();
        unschedule = clock.schedule(untilMs - nowMs(), end);
      };
    });

  /** Polls once. Resolves with the pause before the next poll. */
  const poll = async (me: LoopRun): Promise<number> => {
    const sentMs = nowMs();
    const { failedWait } = me;
    const mostMs = me.getsNext ? 0 : calls.waitMs(me);
    const wantedMs =
      mostMs > 0 ? shortestMs(waitLength.maxMs, ({ wantsProgress }) => wantsProgress) : 0;
    /** How long a WaitOperation call is held; 0 for GetOperation. */
    const heldMs = Math.min(wantedMs, mostMs);
    const controller = new AbortController();
    const { signal } = controller;
    const stop = () => controller.abort(notNeeded);
    me.stop = stop;
    me.leastMs = 0;
    me.failedWait = undefined;
    let polled: Polled | undefined;
    let error: ConnectError | undefined;
    try {
      if (heldMs > 0) {
        me.shorten = (follower) => {
          if (follower.wantsProgress && follower.delayMs() < heldMs) stop();
        };
        polled = await calls.wait(name, heldMs, signal, me);
      } else {
        polled = await calls.get(name, signal);
      }
    } catch (thrown) {
      // A call that the loop cut short did not fail.
      if (!signal.aborted) error = ConnectError.from(thrown);
    }
    me.shorten = undefined;
    if (isOver(me)) return 0;
    const tookMs = nowMs() - sentMs;
    if (error !== undefined) {
      me.leastMs = retryDelayMs(error, clock.nowMs());
      me.getsNext = true;
      if (heldMs > 0) return waitFailed(me, error, { sentMs, tookMs, heldMs });
      publishFailure(error, "onFailed");
      return nextPauseMs(me);
    }
    if (polled === undefined) return calls.canWait() ? 0 : atIntervalMs(me);
    me.leastMs = polled.retryAfterMs;
    if (heldMs === 0) {
      if (failedWait !== undefined) waitLength.failed(failedWait);
      me.getsNext = false;
      publish(polled.operation);
      return nextPauseMs(me);
    }
    waitLength.passed(tookMs);
    const isEarly = tookMs < Math.min(wantedMs / 2, usefulWaitMs);
    if (!isEarly) lastPauseMs = 0;
    publish(polled.operation);
    me.getsNext = calls.isCrowded();
    if (isEarly) {
      me.leastMs = Math.max(me.leastMs, minWaitMs - tookMs);
      return atIntervalMs(me, tookMs);
    }
    return me.getsNext ? atIntervalMs(me) : me.leastMs;
  };

  /** Returns the pause before GetOperation decides about a WaitOperation call that failed. */
  const waitFailed = (me: LoopRun, error: ConnectError, failed: FailedWait): number => {
    // GetOperation would download the same response.
    publishFailure(error, isUnreadableHere(error) ? "onFailed" : "onFailedWait");
    me.failedWait = failed;
    const delayMs = atIntervalMs(me);
    const isTransient = isTransientByCode(error);
    if (isTransient && failed.tookMs < minWaitMs) return delayMs;
    // The call was cut off, or the server refused only WaitOperation. The operation may be done.
    return Math.max(me.leastMs, Math.min(delayMs, isTransient ? minWaitMs : 0));
  };

  /** Returns the pause before a poll that may be by WaitOperation. */
  const nextPauseMs = (me: LoopRun): number => {
    if (isOver(me)) return 0;
    return !me.getsNext && calls.waitMs(me) > 0 ? me.leastMs : atIntervalMs(me);
  };

  const run = async (me: LoopRun) => {
    let delayMs = nextPauseMs(me);
    while (!isOver(me)) {
      lastPauseMs = 0;
      // The loop pauses only if needed, because pollers that begin together must see each other's
      // held calls.
      if (delayMs > 0) await pause(me, delayMs);
      if (isOver(me)) break;
      delayMs = await poll(me);
    }
    calls.leave(me);
    if (loop === me) loop = undefined;
  };

  return {
    join(follower) {
      followers.add(follower);
      if (loop === undefined) {
        loop = {
          leastMs: Math.max(0, follower.notBeforeMs - nowMs()),
          getsNext: false,
        };
        void run(loop);
      } else {
        loop.shorten?.(follower);
      }
      return () => {
        if (!followers.delete(follower) || followers.size > 0) return;
        const ended = loop;
        loop = undefined;
        ended?.stop?.();
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
