import type { StoreOptions } from "./operation-store.js";

/**
 * The kind of a change to an operation. `missed` means that signals may be lost, so subscribers
 * must read the operation again.
 */
export type SignalKind = "done" | "cancel-requested" | "deleted" | "missed";

/** Ends a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/**
 * Notifies all processes of changes to operations. A signal is a hint to read the operation: it may
 * arrive twice, late, or not at all if `pollIntervalMs` is set. Therefore a failed publication
 * makes nothing else fail.
 */
export interface Signals {
  /**
   * How often a waiter must read the operation without a signal, in milliseconds. Undefined: no
   * signal is ever lost.
   */
  readonly pollIntervalMs: number | undefined;
  /**
   * Calls `listener` for every signal of one operation from the time at which this resolves. A
   * caller that subscribes first and reads afterwards misses nothing. The listener must not throw.
   */
  subscribe(name: string, listener: (kind: SignalKind) => void): Promise<Unsubscribe>;
  /** Notifies every subscriber in every process; with a transaction, when it commits. */
  publish(name: string, kind: SignalKind, options?: StoreOptions): Promise<void>;
  /** Ends all subscriptions. */
  close(): Promise<void>;
}
