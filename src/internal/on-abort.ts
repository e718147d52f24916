const callbacksOf = new WeakMap<EventTarget, Set<() => void>>();

/** The one listener of all signals: an EventTarget holds a listener once. */
function callBack(this: EventTarget): void {
  const callbacks = callbacksOf.get(this) ?? [];
  callbacksOf.delete(this);
  for (const callback of [...callbacks]) callback();
}

/**
 * Calls `callback` once when `signal` aborts. All callbacks of a signal share one listener, because
 * Node prints a warning for the eleventh listener of a signal, and removes one by a linear search.
 *
 * @param signal Must not be aborted.
 * @param callback Must not throw, and must be another function for each registration.
 * @returns Removes the callback, and the listener with the last callback.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const callbacks = callbacksOf.get(signal) ?? new Set();
  callbacksOf.set(signal, callbacks.add(callback));
  signal.addEventListener("abort", callBack);
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return;
    callbacksOf.delete(signal);
    signal.removeEventListener("abort", callBack);
  };
}
