import { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";
import { notNeeded } from "./not-needed.js";
import type { OperationCalls } from "./operation-calls.js";
import { retryHintMs } from "./retry-hint.js";

/** One who follows an operation, with a pace of its own. */
export interface PollFollower {
  /** Whether states on the way matter, or only the end. */
  readonly wantsProgress: boolean;
  /** How long it would pause before its next look, in milliseconds. */
  delayMs(): number;
  /** A look showed this. */
  see(operation: Operation): void;
  /** A look failed. Whether that is the end for this follower is its own decision. */
  fail(error: ConnectError): void;
}

/** The one loop that all who follow an operation share. It runs while there is somebody. */
export interface OperationPoller {
  /** Follow the operation, until the returned function is called. */
  join(follower: PollFollower): () => void;
  /** Look at once, whatever the loop does. All who follow see what it shows. Never rejects. */
  lookNow(signal: AbortSignal): Promise<void>;
  /** How long the loop has paused between looks so far, in milliseconds, the present pause included. */
  pausedMs(): number;
  /**
   * How long the pause was that came before the latest look, in milliseconds: so
   * long the end may have gone unseen. 0 where the server held a WaitOperation call.
   */
  lastPauseMs(): number;
}

/**
 * Least time from one WaitOperation call to the next where the server answers early,
 * which it may, even at once (operations.proto).
 */
const minWaitMs = 1000;

/** One stretch of the loop, from the first follower to the last. */
interface Stretch {
  /** Ends what is under way when nobody follows any more. */
  readonly stop: AbortController;
  /** Shortens the present pause or WaitOperation call for somebody who has joined. */
  hurry: ((follower: PollFollower) => void) | undefined;
}

/** The pause before a look, in milliseconds. */
interface Pause {
  readonly delayMs: number;
  /** Somebody faster who joins may shorten it, but not below this. */
  readonly leastMs: number;
}

const noPause: Pause = { delayMs: 0, leastMs: 0 };

/** How a poller is made. */
export interface PollerInit {
  /** Name of the operation. */
  readonly name: string;
  /** How long one WaitOperation call is held where only the end matters, in milliseconds. */
  readonly waitSliceMs: number;
  /** Called when the last follower has left. */
  readonly onIdle: () => void;
}

export function createOperationPoller(
  calls: OperationCalls,
  { name, waitSliceMs, onIdle }: PollerInit,
): OperationPoller {
  const { clock } = calls;
  const followers = new Set<PollFollower>();
  let isDone = false;
  let stretch: Stretch | undefined;
  let pausedMs = 0;
  let lastPauseMs = 0;
  /** When the present pause began; undefined while there is none. */
  let pauseStartMs: number | undefined;
  const presentPauseMs = () => (pauseStartMs === undefined ? 0 : clock.nowMs() - pauseStartMs);

  const publish = (operation: Operation) => {
    isDone ||= operation.done;
    for (const follower of [...followers]) follower.see(operation);
  };
  const publishFailure = (error: ConnectError) => {
    for (const follower of [...followers]) follower.fail(error);
  };

  /** The shortest delay that somebody asks for, of those who matter. */
  const shortestMs = (matters: (follower: PollFollower) => boolean, longestMs: number) => {
    let shortest = longestMs;
    for (const follower of followers) {
      if (matters(follower)) shortest = Math.min(shortest, follower.delayMs());
    }
    return shortest;
  };
  const atPace = (leastMs = 0): Pause => {
    const delayMs = shortestMs(() => true, Number.POSITIVE_INFINITY);
    return { delayMs: Math.max(delayMs, leastMs), leastMs };
  };
  const sliceMs = () => shortestMs(({ wantsProgress }) => wantsProgress, waitSliceMs);

  /** Resolves after the pause, at once if there is none, and when everybody has left. */
  const pause = (me: Stretch, { delayMs, leastMs }: Pause) => {
    if (delayMs <= 0) {
      lastPauseMs = 0;
      return undefined;
    }
    return new Promise<void>((resolve) => {
      const startMs = clock.nowMs();
      pauseStartMs = startMs;
      let untilMs = startMs + delayMs;
      const end = () => {
        unschedule();
        me.hurry = undefined;
        me.stop.signal.removeEventListener("abort", end);
        lastPauseMs = clock.nowMs() - startMs;
        pausedMs += lastPauseMs;
        pauseStartMs = undefined;
        resolve();
      };
      let unschedule = clock.schedule(delayMs, end);
      me.hurry = (follower) => {
        const soonerMs = startMs + Math.max(leastMs, follower.delayMs());
        if (soonerMs >= untilMs) return;
        untilMs = soonerMs;
        unschedule();
        unschedule = clock.schedule(untilMs - clock.nowMs(), end);
      };
      me.stop.signal.addEventListener("abort", end, { once: true });
    });
  };

  /** One WaitOperation call; undefined when it was cut short or the server has no such method. */
  const wait = async (me: Stretch, heldMs: number): Promise<Operation | undefined> => {
    const controller = new AbortController();
    const abort = () => controller.abort(notNeeded);
    me.hurry = (follower) => {
      if (follower.wantsProgress && follower.delayMs() < heldMs) abort();
    };
    me.stop.signal.addEventListener("abort", abort, { once: true });
    try {
      return await calls.wait(name, heldMs, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return undefined;
      throw error;
    } finally {
      me.hurry = undefined;
      me.stop.signal.removeEventListener("abort", abort);
    }
  };

  /** Look once by WaitOperation; gives the pause before the next look. */
  const lookByWait = async (me: Stretch, isOver: () => boolean): Promise<Pause> => {
    const startMs = clock.nowMs();
    const heldMs = sliceMs();
    const operation = await wait(me, heldMs);
    if (isOver()) return noPause;
    if (operation === undefined) return calls.canWait() ? noPause : atPace();
    const tookMs = clock.nowMs() - startMs;
    // A server that answers early is asked at the pace of polling.
    const isEarly = tookMs < Math.min(heldMs / 2, minWaitMs);
    if (!isEarly) lastPauseMs = 0;
    publish(operation);
    return isEarly && !isOver() ? atPace(minWaitMs - tookMs) : noPause;
  };

  /** Look once by GetOperation; gives the pause before the next look. */
  const lookByGet = async (me: Stretch, isOver: () => boolean): Promise<Pause> => {
    const operation = await calls.get(name, me.stop.signal);
    if (isOver()) return noPause;
    publish(operation);
    return isOver() ? noPause : atPace();
  };

  const run = async (me: Stretch) => {
    const isOver = () => stretch !== me || isDone;
    let before = calls.canWait() ? noPause : atPace();
    while (!isOver()) {
      await pause(me, before);
      if (isOver()) break;
      try {
        before = await (calls.canWait() ? lookByWait(me, isOver) : lookByGet(me, isOver));
      } catch (thrown) {
        if (isOver()) break;
        const error = ConnectError.from(thrown);
        publishFailure(error);
        if (isOver()) break;
        const hintMs = retryHintMs(error, clock.nowMs());
        before = hintMs === undefined ? atPace() : { delayMs: hintMs, leastMs: hintMs };
      }
    }
    if (stretch === me) stretch = undefined;
  };

  return {
    join(follower) {
      followers.add(follower);
      if (stretch === undefined) {
        stretch = { stop: new AbortController(), hurry: undefined };
        void run(stretch);
      } else {
        stretch.hurry?.(follower);
      }
      return () => {
        if (!followers.delete(follower) || followers.size > 0) return;
        const ended = stretch;
        stretch = undefined;
        ended?.stop.abort(notNeeded);
        onIdle();
      };
    },
    pausedMs: () => pausedMs + presentPauseMs(),
    lastPauseMs: () => lastPauseMs,
    async lookNow(signal) {
      try {
        const operation = await calls.get(name, signal);
        if (pauseStartMs !== undefined) lastPauseMs = presentPauseMs();
        publish(operation);
      } catch (error) {
        if (!signal.aborted) publishFailure(ConnectError.from(error));
      }
    },
  };
}
