import type { ConnectError } from "@connectrpc/connect";
import type { Operation } from "../protos.js";
import type { Snapshot } from "./snapshot.js";

/**
 * Called on starts and waits, for traces and metrics. The client ignores exceptions of its methods.
 * `createTracingObserver` of `connect-longrunning/opentelemetry` makes one.
 */
export interface WaitObserver {
  /**
   * Called when an operation was started. Each wait for the operation receives the return value as
   * `link`.
   */
  operationStarted?(operation: Operation): unknown;
  /** Called when a wait begins: a `result()`, an `outcome()`, or an iteration. */
  waitStarted?(wait: ObservedWait): WaitObservation | undefined;
}

/** A wait that begins. */
export interface ObservedWait {
  readonly operationName: string;
  /** The method that started the operation, `package.Service/Method`. */
  readonly method: string;
  /** The return value of `operationStarted` in this process; undefined for a resumed operation. */
  readonly link: unknown;
}

/** Observes one wait. */
export interface WaitObservation {
  /** Called after each poll, with the operation or the poll's error. */
  polled?(poll: { readonly operation: Operation } | { readonly error: ConnectError }): void;
  /** Called when the wait has ended. */
  ended?(end: WaitEnd): void;
}

/** The end of a wait and its cost. */
export interface WaitEnd {
  /** Whether a poll showed that the operation is done. */
  readonly done: boolean;
  /** The latest state; final if `done`. */
  readonly snapshot: Snapshot;
  /**
   * The operation's own error, the OperationError that ended the wait, or the exception of the
   * caller's poll policy. Undefined for a response, and if the caller left an iteration.
   */
  readonly error: ConnectError | undefined;
  /** Number of polls, including failed ones. */
  readonly polls: number;
  /** Duration of the wait, in milliseconds. */
  readonly elapsedMs: number;
  /** Total of the pauses between polls, in milliseconds. A held WaitOperation call is not a pause. */
  readonly pausedMs: number;
  /**
   * Longest possible detection delay, in milliseconds: the pause before the poll that showed the
   * final state. 0 if the server held a WaitOperation call, and if this wait did not poll the final
   * state.
   */
  readonly overshootMs: number;
}
