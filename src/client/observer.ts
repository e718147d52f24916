import type { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";

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
  /** What the wait ended with; undefined for a response. */
  readonly error: ConnectError | undefined;
  /** How often it looked. */
  readonly polls: number;
  readonly elapsedMs: number;
  /** How long it paused between looks; time within WaitOperation is no pause. */
  readonly pausedMs: number;
  /** How long the end may have gone unseen: the pause before the last look, 0 by WaitOperation. */
  readonly overshootMs: number;
}
