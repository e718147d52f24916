import type { StoreOptions } from "./operation-store.js";

/** An operation that has work to be done. */
export interface DispatchedOperation {
  readonly name: string;
  /** `package.Service/Method`. */
  readonly method: string;
  /**
   * The caller for which it runs. Waiting operations of different tenants take turns, so that a
   * tenant with many of them does not delay the others. A dispatcher may choose another order.
   * Absent or empty: no particular tenant.
   */
  readonly tenant?: string | undefined;
  /** How many attempts the operation has had. A dispatcher may use it to recognize a repeated dispatch. */
  readonly attempt?: number | undefined;
}

/** An operation that was handed to this process to run. */
export interface Delivery extends DispatchedOperation {
  /**
   * Aborts when the delivery is lost: this process did not renew its lease in time, so that another
   * one may run the operation. Undefined if no other process can run it.
   */
  readonly signal: AbortSignal | undefined;
}

/** How a delivery ended. */
export type Settlement =
  /** No work is left: the operation is done, or another process has it. */
  | { readonly kind: "settled" }
  /** The operation is delivered again after this delay in milliseconds, which uses up an attempt. */
  | { readonly kind: "retry"; readonly delayMs: number }
  /** The operation is delivered to another process as soon as possible, which uses up no attempt. */
  | { readonly kind: "handover" }
  /**
   * The operation is delivered again after this delay in milliseconds, like a new one: its work
   * continues later, which uses up no attempt.
   */
  | { readonly kind: "continue"; readonly delayMs: number };

/** Options of serving a method. */
export interface ServeOptions {
  /** How many operations of the method run at the same time in this process, at least 1. Absent: no bound. */
  maxConcurrent?: number | undefined;
}

/** Options of `stop`. */
export interface StopOptions {
  /**
   * Whether the operations that are queued in this process run too, because the store is not durable
   * and would lose them. A dispatcher with a durable queue ignores it. Default: false.
   */
  finishQueued?: boolean | undefined;
}

/**
 * Delivers each dispatched operation to one process at a time, at least once. It has the names of
 * operations; the store has their records.
 *
 * Its methods should reject with a ConnectError, UNAVAILABLE if the queue cannot be reached.
 */
export interface Dispatcher {
  /**
   * Whether the queue outlives this process. If not, the server dispatches the unfinished operations
   * of the store when it starts.
   */
  readonly isDurable: boolean;
  /**
   * How often the server dispatches operations again that no attempt has begun, in milliseconds. For a
   * queue that is not in the store's transactions: a process may die between its commit and the
   * dispatch. A repeated dispatch of an operation that waits must change nothing. Absent: never.
   */
  readonly redispatchMs?: number | undefined;
  /**
   * Prepares the queue of a method. The server calls it before a transaction that dispatches an
   * operation of the method, because a dispatcher must not wait for a connection while the
   * transaction has another one. Absent if there is nothing to prepare.
   */
  prepare?(method: string): Promise<void>;
  /**
   * Queues operations for the processes that serve their methods: all of them, or none if
   * it rejects. Each is delivered at least once after this resolves (with a transaction:
   * after the commit), however often processes die.
   */
  dispatch(operations: readonly DispatchedOperation[], options?: StoreOptions): Promise<void>;
  /**
   * Runs the operations of this method in this process. `run` must not reject; if it does, the
   * operation is delivered again.
   *
   * Returns at once. If the queue cannot be prepared, `dispatch` rejects with the error.
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
  /** Returns how many operations wait in the queue of this process. Absent if it has no such queue. */
  queued?(): number;
  /**
   * Takes no more deliveries. Resolves when the deliveries under way are settled. May be called
   * again, to take no more after a call with `finishQueued`.
   */
  stop(options?: StopOptions): Promise<void>;
  /**
   * Gives up the deliveries under way by renewing no lease, so that another process gets them.
   * Called after `stop` if the work did not end in time. Absent if no other process can get them.
   */
  abandon?(): void;
}
