import type { TraceContext } from "../store/operation-store.js";

export type { TraceContext };

/**
 * Receives the events of a server, for traces and metrics. Its exceptions are ignored.
 * `createServerObserver` of `connect-longrunning/opentelemetry` makes one.
 */
export interface OperationsObserver {
  /**
   * A start is about to write its operation. The returned trace context is kept with the operation,
   * and passed to `claimed` in the process that runs it.
   */
  starting?(start: ObservedStart): TraceContext | undefined;
  /**
   * A start of this process has created an operation, which may be done already. Called before the
   * operation is dispatched, so also if the transaction then fails.
   */
  started?(operation: ObservedOperation): void;
  /** This process handles a method from now on: its counters should exist. */
  handled?(method: string): void;
  /** A start, or a call of the five methods, is answered with this google.rpc.Code, 0 for OK. */
  answered?(rpc: ObservedRpc): void;
  /** An attempt begins in this process. */
  claimed?(run: ObservedRun): RunObservation | undefined;
  /** An attempt has failed, and another one will follow. */
  retried?(retry: ObservedRetry): void;
  /** An attempt has lost its operation to another attempt, or the operation has ended. */
  lost?(attempt: ObservedAttempt): void;
  /**
   * A write of this process has ended an operation. If two writes end it at the same time, this may
   * be called for both.
   */
  ended?(end: ObservedEnd): void;
  /** A held WaitOperation call is answered with the end of its operation. */
  woken?(wake: ObservedWake): void;
  /** The number of WaitOperation calls that this process holds has changed. */
  waitersChanged?(count: number): void;
  /** The number of operations in this process's own queue has changed. */
  queueDepthChanged?(depth: number): void;
}

/** A call that was answered. */
export interface ObservedRpc {
  /** The called method: `package.Service/Method` for a start, otherwise `GetOperation` and so on. */
  readonly rpc: string;
  /** The number of the google.rpc.Code; 0 for a response. */
  readonly code: number;
}

/** An operation that was started. */
export interface ObservedOperation {
  readonly name: string;
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
}

/** An operation that is about to be written. */
export interface ObservedStart extends ObservedOperation {
  /** Returns the headers of the call that starts it; undefined if the program itself starts it. */
  requestHeader(): Headers | undefined;
}

/** One attempt at an operation. */
export interface ObservedAttempt extends ObservedOperation {
  /** 1 for the first attempt. */
  readonly attempt: number;
}

/** An attempt that begins. */
export interface ObservedRun extends ObservedAttempt {
  /** Time between the start and this claim, in milliseconds; undefined after the first attempt. */
  readonly queueMs: number | undefined;
  /** The trace in which the operation was started, by any process; undefined if none is known. */
  readonly traceContext: TraceContext | undefined;
}

/** Receives the events of one attempt. */
export interface RunObservation {
  /** Calls the work, in the context that it should have. A second call of `work` does nothing. */
  within?(work: () => void): void;
  /** The work has returned, or has thrown `thrown`. */
  settled?(runMs: number, thrown: unknown): void;
}

/** A failed attempt that is not the last one. */
export interface ObservedRetry extends ObservedAttempt {
  readonly delayMs: number;
  /** The exception of the work. */
  readonly thrown: unknown;
}

/** The end of an operation. */
export interface ObservedEnd extends ObservedOperation {
  /** 0 for a response, otherwise the number of the google.rpc.Code. */
  readonly code: number;
  /**
   * Run time of the attempt that ended the operation, in milliseconds; undefined if no attempt ended
   * it.
   */
  readonly runMs: number | undefined;
  /** Time between the start and the end, in milliseconds. */
  readonly totalMs: number;
}

/** The response to a WaitOperation call that was held. */
export interface ObservedWake extends ObservedOperation {
  /**
   * Time between the end of the operation and the response, in milliseconds, at least 0. The end is
   * a time of the store's clock, so with a database on another machine it is as exact as the two
   * clocks agree.
   */
  readonly wakeMs: number;
}
