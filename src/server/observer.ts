/**
 * Hears of what a server does, for traces and metrics. What a function of it throws is
 * dropped. `createServerObserver` of `connect-longrunning/opentelemetry` makes one.
 */
export interface OperationsObserver {
  /**
   * A start of this process made an operation, which may be done already. Heard before it
   * is dispatched, and so also where the transaction then fails.
   */
  started?(operation: ObservedOperation): void;
  /** An attempt begins in this process. */
  claimed?(run: ObservedRun): RunObservation | undefined;
  /** An attempt failed, and there will be another. */
  retried?(retry: ObservedRetry): void;
  /** An attempt is another's by now, or its operation has ended: it writes nothing more. */
  lost?(attempt: ObservedAttempt): void;
  /** A write of this process ended an operation. Of two that end it at once, both may be heard. */
  ended?(end: ObservedEnd): void;
  /** A WaitOperation call that was held is answered with the end of its operation. */
  woken?(wake: ObservedWake): void;
  /** How many WaitOperation calls this process holds. */
  waitersChanged?(count: number): void;
  /** How many operations wait for their turn in this process's own queue. */
  queueDepthChanged?(depth: number): void;
}

/** An operation that was started. */
export interface ObservedOperation {
  readonly name: string;
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
}

/** One attempt at an operation. */
export interface ObservedAttempt extends ObservedOperation {
  /** 1 for the first. */
  readonly attempt: number;
}

/** An attempt that begins. */
export interface ObservedRun extends ObservedAttempt {
  /** From the start to this claim, in milliseconds; undefined for all attempts but the first. */
  readonly queueMs: number | undefined;
}

/** Hears of one attempt. */
export interface RunObservation {
  /** Call the work, in whatever context it is to have. Calling it again does nothing. */
  within?(work: () => void): void;
  /** The work has returned, or has thrown this. */
  settled?(runMs: number, thrown: unknown): void;
}

/** An attempt that failed and is not the last. */
export interface ObservedRetry extends ObservedAttempt {
  readonly delayMs: number;
  /** What the work threw. */
  readonly thrown: unknown;
}

/** How an operation ended. */
export interface ObservedEnd extends ObservedOperation {
  /** 0 for a response, else the number of the google.rpc.Code. */
  readonly code: number;
  /** How long the attempt ran that ended it, in milliseconds; undefined where no attempt did. */
  readonly runMs: number | undefined;
  /** From the start to the end, in milliseconds. */
  readonly totalMs: number;
}

/** The answer to a WaitOperation call that had found its operation not done yet. */
export interface ObservedWake extends ObservedOperation {
  /**
   * From the end of the operation, by the store's clock, to the answer, by this process's, in
   * milliseconds: with a database on another machine, as exact as the two agree. At least 0.
   */
  readonly wakeMs: number;
}
