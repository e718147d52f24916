/** Those who want to hear of one signal's abort, as many as there are and as often as they change. */
export interface AbortGroup {
  add(onAbort: (reason: unknown) => void): void;
  delete(onAbort: (reason: unknown) => void): void;
}

/**
 * One listener for all: a signal finds the listener that is to be removed by going through
 * all that it has, which takes long where thousands of calls wait.
 */
export function createAbortGroup(signal: AbortSignal | undefined): AbortGroup {
  const members = new Set<(reason: unknown) => void>();
  signal?.addEventListener(
    "abort",
    () => {
      for (const onAbort of members) onAbort(signal.reason);
    },
    { once: true },
  );
  return {
    add(onAbort) {
      if (signal?.aborted) onAbort(signal.reason);
      else members.add(onAbort);
    },
    delete: (onAbort) => members.delete(onAbort),
  };
}
