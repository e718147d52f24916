/** Called at the end of a call, once. */
export interface CallEndListener {
  handleEvent(): void;
}

/**
 * When a call is over, for those who do without an AbortSignal, which takes as much memory as all
 * else that a call that waits holds. Every AbortSignal is one.
 */
export interface CallEnd {
  readonly aborted: boolean;
  /** Why it is over; undefined until then. */
  readonly reason: unknown;
  addEventListener(type: "abort", listener: CallEndListener): void;
  removeEventListener(type: "abort", listener: CallEndListener): void;
}
