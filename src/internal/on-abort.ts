/** The callbacks of a signal, which share one listener. */
interface SharedListener {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const sharedListeners = new WeakMap<AbortSignal, SharedListener>();

/**
 * Calls `callback` once when `signal` aborts. All callbacks of a signal share one listener, because
 * Node prints a warning for the eleventh listener of a signal, and removes one by a linear search.
 *
 * @param signal Must not be aborted.
 * @param callback Must not throw, and must be another function for each registration.
 * @returns Removes the callback, and the listener with the last callback.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = sharedListeners.get(signal) ?? listenTo(signal);
  callbacks.add(callback);
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return;
    sharedListeners.delete(signal);
    signal.removeEventListener("abort", listener);
  };
}

function listenTo(signal: AbortSignal): SharedListener {
  const callbacks = new Set<() => void>();
  const listener = () => {
    sharedListeners.delete(signal);
    for (const callback of [...callbacks]) callback();
  };
  const shared = { callbacks, listener };
  sharedListeners.set(signal, shared);
  signal.addEventListener("abort", listener, { once: true });
  return shared;
}
