import type { StoreOptions } from "./operation-store.js";

/** An operation that has work to be done. */
export interface DispatchedOperation {
  readonly name: string;
  /** `package.Service/Method`. */
  readonly method: string;
  /**
   * For whom it is run: where many wait, those of different tenants take turns, so that
   * one who starts many does not keep the others waiting. Absent or empty: nobody's in
   * particular. A hint: a dispatcher may order otherwise.
   */
  readonly tenant?: string | undefined;
}

/** An operation that was handed to this process to run. */
export interface Delivery extends DispatchedOperation {
  /**
   * Aborted when the delivery is lost: this process could not show in time that
   * it lives, and another may have the operation by now. Undefined where nobody else can
   * ever have it.
   */
  readonly signal: AbortSignal | undefined;
}

/** How a delivery ended. */
export type Settlement =
  /** Nothing is left to do: the operation is done, or it is another's. */
  | { readonly kind: "settled" }
  /** Deliver it again after this delay in milliseconds; that uses up an attempt. */
  | { readonly kind: "retry"; readonly delayMs: number }
  /** Deliver it to another process as soon as possible; that uses up none. */
  | { readonly kind: "handover" }
  /**
   * Deliver it again after this delay in milliseconds, as one that is new: its work
   * goes on later, and that uses up no attempt.
   */
  | { readonly kind: "continue"; readonly delayMs: number };

/** Options of serving a method. */
export interface ServeOptions {
  /** How many of its operations run side by side in this process, at least 1. Absent: no bound of its own. */
  maxConcurrent?: number | undefined;
}

/** Options of `stop`. */
export interface StopOptions {
  /**
   * Also run what is queued in this process, because it would be lost: the store is not durable.
   * A dispatcher with a durable queue ignores it. Default: false.
   */
  finishQueued?: boolean | undefined;
}

/**
 * Who runs what: hands each dispatched operation to one process at a time, at
 * least once. It knows names; the records are the store's.
 *
 * What it rejects with should be a ConnectError, UNAVAILABLE where it cannot be
 * reached now.
 */
export interface Dispatcher {
  /**
   * Whether what was dispatched outlives this process. Where it does not, the server
   * dispatches what the store has unfinished when it starts.
   */
  readonly isDurable: boolean;
  /**
   * Set up what dispatching a method's operations takes. Called before a transaction in
   * which one is dispatched: whoever needs a connection of its own for that must not wait
   * for one while the transaction holds another. Absent where there is nothing to set up.
   */
  prepare?(method: string): Promise<void>;
  /**
   * Queues operations for the processes that serve their methods: all of them, or none if
   * it rejects. Each is delivered at least once after this resolves (with a transaction:
   * after the commit), however often processes die.
   */
  dispatch(operations: readonly DispatchedOperation[], options?: StoreOptions): Promise<void>;
  /**
   * Run this method's operations in this process. `run` must not reject; one that
   * does has its operation delivered again.
   *
   * Returns at once; a failure to set it up is what `dispatch` rejects with.
   */
  serve(
    method: string,
    run: (delivery: Delivery) => Promise<Settlement>,
    options?: ServeOptions,
  ): void;
  /**
   * Keeps a place in this process's own queue for an operation, so that its `dispatch` is not
   * refused. Absent if `dispatch` has no such bound.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED if there is no place.
   */
  reserve?(operation: Pick<DispatchedOperation, "name" | "method">): void;
  /** How many wait for their turn in this process's own queue; absent where there is none. */
  queued?(): number;
  /**
   * Takes no more deliveries. Resolves when the deliveries under way are settled. May be called
   * again, to take no more after a call with `finishQueued`.
   */
  stop(options?: StopOptions): Promise<void>;
  /**
   * Gives up the deliveries under way, so that another process gets them: no lease is renewed any
   * more. Called after `stop`, if the work did not end in time. Absent if no other process can.
   */
  abandon?(): void;
}
