import type { Clock } from "./clock.js";
import { settlesWithin } from "./settles-within.js";

/**
 * The states of a server, in their order. `docs/operate/deploys.md` has a table of the answer to
 * each call in each state.
 *
 * - `serving`: all calls are answered.
 * - `not-ready`: health is NOT_SERVING, and all calls are still answered, so that load balancers
 *   have time to notice.
 * - `draining`: starts are refused, waits are held, and the work runs on.
 * - `handing-over`: the signals of the work abort, and the waits are answered.
 * - `closed`: everything is closed.
 */
export type ClosingState = "serving" | "not-ready" | "draining" | "handing-over" | "closed";

/** Time limits for closing a server. All fields are optional. */
export interface CloseOptions {
  /**
   * Time for the calls and the work under way, in milliseconds, from 0 to 2^31 - 1. At most one
   * second after it the server is closed, whatever the store does. Default: 10,000.
   */
  graceMs?: number | undefined;
  /**
   * The part of the grace, in milliseconds, in which health is NOT_SERVING and starts are still
   * accepted, so that load balancers take the server out first. Default: 0.
   */
  drainDelayMs?: number | undefined;
}

/** How long the hand-over and the closing take at most, together, after the grace. */
export const afterGraceMs = 1000;

/** The actions that lead from one state to the next. None of them rejects. */
export interface ClosingSteps {
  /** Shows NOT_SERVING. */
  notReady(): void;
  /** Refuses starts. Resolves when nothing is under way: the grace is over then, too. */
  drain(): Promise<void>;
  /** Stops what is still under way. Resolves when it is handed over. */
  handOver(): Promise<void>;
  /** Closes everything. */
  close(): Promise<void>;
}

/** The state of one server, from serving to closed. */
export interface Closing {
  readonly state: ClosingState;
  /**
   * Closes the server. Calling it again joins the first call, and shortens its grace if the new one
   * is over earlier.
   */
  close(options: Required<CloseOptions>): Promise<void>;
}

/** @param handOverMs The longest time for `handOver`; `close` has the rest of `afterGraceMs`. */
export function createClosing(clock: Clock, steps: ClosingSteps, handOverMs: number): Closing {
  const unschedules: (() => void)[] = [];
  let state: ClosingState = "serving";
  let endGrace = () => {};
  const graceOver = new Promise<void>((resolve) => {
    endGrace = resolve;
  });
  let closed: Promise<void> | undefined;

  const run = async (drainDelayMs: number) => {
    state = "not-ready";
    steps.notReady();
    if (drainDelayMs > 0) {
      await new Promise<void>((resolve) => {
        unschedules.push(clock.schedule(drainDelayMs, resolve));
        void graceOver.then(resolve);
      });
    }
    state = "draining";
    await Promise.race([steps.drain(), graceOver]);
    for (const unschedule of unschedules) unschedule();
    state = "handing-over";
    await settlesWithin(steps.handOver(), clock, handOverMs);
    state = "closed";
    await settlesWithin(steps.close(), clock, afterGraceMs - handOverMs);
  };

  return {
    get state() {
      return state;
    },
    close({ graceMs, drainDelayMs }) {
      if (state === "serving" || state === "not-ready" || state === "draining") {
        unschedules.push(clock.schedule(graceMs, endGrace));
      }
      closed ??= run(drainDelayMs);
      return closed;
    },
  };
}
