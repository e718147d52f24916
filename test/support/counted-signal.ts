/** An AbortController whose signal tells how many listen to it. */
export interface CountedAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** How many have added a listener that was neither removed nor, if meant for once, called. */
  listeners(): number;
}

export function createCountedAbort(): CountedAbort {
  const controller = new AbortController();
  const { signal } = controller;
  /** Each listener, and whether it is for once. */
  const listeners = new Map<unknown, boolean>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ) => {
    if (!listeners.has(listener)) {
      listeners.set(listener, typeof options === "object" && options.once === true);
    }
    add(type, listener, options);
  };
  signal.removeEventListener = (
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | EventListenerOptions,
  ) => {
    listeners.delete(listener);
    remove(type, listener, options);
  };
  return {
    signal,
    abort(reason) {
      controller.abort(reason);
      for (const [listener, once] of [...listeners]) if (once) listeners.delete(listener);
    },
    listeners: () => listeners.size,
  };
}
