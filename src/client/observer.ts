import type { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";
import type { Snapshot } from "./snapshot.js";

/**
 * Hears of waits, for traces and metrics. What a function of it throws is dropped.
 * `createTracingObserver` of `connect-longrunning/opentelemetry` makes one.
 */
export interface WaitObserver {
  /**
   * An operation was started. What this returns is handed to each of its waits as
   * `link`.
   */
  operationStarted?(operation: Operation): unknown;
  /** A wait began: a `result()`, an `outcome()`, or an iteration. */
  waitStarted?(wait: ObservedWait): WaitObservation | undefined;
}

/** A wait that begins. */
export interface ObservedWait {
  readonly operationName: string;
  /** The method that started the operation, `package.Service/Method`. */
  readonly method: string;
  /** What `operationStarted` returned in this process; undefined for one that was resumed. */
  readonly link: unknown;
}

/** Hears of one wait. */
export interface WaitObservation {
  /** A look at the operation came back. */
  polled?(look: { readonly operation: Operation } | { readonly error: ConnectError }): void;
  /** The wait is over. */
  ended?(end: WaitEnd): void;
}

/** How a wait ended, and what it cost. */
export interface WaitEnd {
  /** Whether the operation was seen to be done. */
  readonly done: boolean;
  /** The latest state that was seen; final if `done`. */
  readonly snapshot: Snapshot;
  /**
   * What the wait ended with: the operation's own error, an OperationError that ended
   * the wait alone, or what the caller's poll policy threw. Undefined for a response,
   * and where the caller has left an iteration.
   */
  readonly error: ConnectError | undefined;
  /** How often it looked. */
  readonly polls: number;
  readonly elapsedMs: number;
  /**
   * How much of that was pauses between looks; time within WaitOperation is no pause.
   */
  readonly pausedMs: number;
  /**
   * How long the end may have gone unseen in this wait: the pause before the look that
   * showed it. 0 where the server held a WaitOperation call until then, and where this
   * wait did not see the end come.
   */
  readonly overshootMs: number;
}
