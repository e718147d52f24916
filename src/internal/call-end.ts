/** Called at the end of a call, once. */
export interface CallEndListener {
  handleEvent(): void;
}

/**
 * Reports the end of a call without an AbortSignal, because an AbortSignal doubles the memory of a
 * waiting call. Every AbortSignal is a `CallEnd`.
 */
export interface CallEnd {
  readonly aborted: boolean;
  /** Why it is over; undefined until then. */
  readonly reason: unknown;
  addEventListener(type: "abort", listener: CallEndListener): void;
  removeEventListener(type: "abort", listener: CallEndListener): void;
}
