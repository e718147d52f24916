import { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";
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
  /** How long the loop has paused between looks so far, in milliseconds. */
  pausedMs(): number;
  /**
   * How long the pause was that came before the latest look, in milliseconds: so
   * long the end may have gone unseen. 0 where WaitOperation brought the answer.
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
  /** Ends the present pause or WaitOperation call, because the pace has changed. */
  hurry: (() => void) | undefined;
}

/** The pause before a look, in milliseconds, asked anew when the pace may have changed; undefined for none. */
type Pause = (() => number) | undefined;

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

  const publish = (operation: Operation) => {
    isDone ||= operation.done;
    for (const follower of [...followers]) follower.see(operation);
  };
  const publishFailure = (error: ConnectError) => {
    for (const follower of [...followers]) follower.fail(error);
  };

  const paceMs = () => Math.min(...[...followers].map((follower) => follower.delayMs()));
  const sliceMs = () => {
    const impatient = [...followers].filter((follower) => follower.wantsProgress);
    return Math.min(waitSliceMs, ...impatient.map((follower) => follower.delayMs()));
  };

  /** Resolves after the time that `delayMs` gives, asked anew whenever the pace may have changed. */
  const pause = (me: Stretch, delayMs: () => number) =>
    new Promise<void>((resolve) => {
      const startMs = clock.nowMs();
      let unschedule: () => void = () => undefined;
      const end = () => {
        unschedule();
        me.hurry = undefined;
        me.stop.signal.removeEventListener("abort", end);
        lastPauseMs = clock.nowMs() - startMs;
        pausedMs += lastPauseMs;
        resolve();
      };
      const schedule = () => {
        unschedule();
        unschedule = clock.schedule(startMs + delayMs() - clock.nowMs(), end);
      };
      me.stop.signal.addEventListener("abort", end, { once: true });
      me.hurry = schedule;
      schedule();
    });

  /** One WaitOperation call; undefined when it was cut short or the server has no such method. */
  const wait = async (me: Stretch, heldMs: number): Promise<Operation | undefined> => {
    const controller = new AbortController();
    const abort = () => controller.abort();
    me.hurry = () => {
      if (sliceMs() < heldMs) abort();
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
    if (isOver()) return undefined;
    if (operation === undefined) return calls.canWait() ? undefined : paceMs;
    lastPauseMs = 0;
    publish(operation);
    const tookMs = clock.nowMs() - startMs;
    // A server that answers early is asked at the pace of polling.
    const isEarly = tookMs < Math.min(heldMs / 2, minWaitMs);
    return isEarly ? () => Math.max(minWaitMs, paceMs()) - tookMs : undefined;
  };

  /** Look once by GetOperation. */
  const lookByGet = async (me: Stretch, isOver: () => boolean): Promise<Pause> => {
    const operation = await calls.get(name, me.stop.signal);
    if (!isOver()) publish(operation);
    return paceMs;
  };

  const run = async (me: Stretch) => {
    const isOver = () => stretch !== me || isDone;
    let delayMs: Pause = calls.canWait() ? undefined : paceMs;
    while (!isOver()) {
      if (delayMs !== undefined) await pause(me, delayMs);
      if (isOver()) break;
      try {
        delayMs = await (calls.canWait() ? lookByWait(me, isOver) : lookByGet(me, isOver));
      } catch (thrown) {
        if (isOver()) break;
        const error = ConnectError.from(thrown);
        publishFailure(error);
        const hintMs = retryHintMs(error, clock.nowMs());
        delayMs = hintMs === undefined ? paceMs : () => hintMs;
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
        stretch.hurry?.();
      }
      return () => {
        if (!followers.delete(follower) || followers.size > 0) return;
        const ended = stretch;
        stretch = undefined;
        ended?.stop.abort();
        onIdle();
      };
    },
    pausedMs: () => pausedMs,
    lastPauseMs: () => lastPauseMs,
    async lookNow(signal) {
      try {
        publish(await calls.get(name, signal));
      } catch (error) {
        if (!signal.aborted) publishFailure(ConnectError.from(error));
      }
    },
  };
}
