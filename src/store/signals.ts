import type { StoreOptions } from "./operation-store.js";

/**
 * What happened to an operation. `missed`: signals may have been lost, so read it
 * again.
 */
export type SignalKind = "done" | "cancel-requested" | "deleted" | "missed";

/** Ends a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/**
 * Word of what happened to an operation, from whichever process it happened in.
 * A signal is a hint to look, never the truth: it may come twice, or too late,
 * and where `pollIntervalMs` is set it may not come at all. So a signal that cannot be
 * published fails nothing but itself.
 */
export interface Signals {
  /**
   * How often whoever waits must look even without a signal, in milliseconds.
   * Undefined: no signal is ever lost.
   */
  readonly pollIntervalMs: number | undefined;
  /**
   * Call `listener` for every signal of one operation from when this resolves, so
   * that whoever subscribes first and reads afterwards misses nothing. The
   * listener must not throw.
   */
  subscribe(name: string, listener: (kind: SignalKind) => void): Promise<Unsubscribe>;
  /** Tell every subscriber, in every process; with a transaction, when that commits. */
  publish(name: string, kind: SignalKind, options?: StoreOptions): Promise<void>;
  /** End all subscriptions. */
  close(): Promise<void>;
}
