import { createInProcessSignals, type Signals } from "../../src/store/index.js";

/** Signals that tell how many are subscribed, so that a test can wait for it and need not sleep. */
export interface WatchedSignals extends Signals {
  /** Resolves as soon as the operation has exactly this many subscriptions. */
  subscribed(name: string, count: number): Promise<void>;
}

export function createWatchedSignals(): WatchedSignals {
  const signals = createInProcessSignals();
  const counts = new Map<string, number>();
  const watchers = new Set<() => void>();
  const countOf = (name: string) => counts.get(name) ?? 0;
  const change = (name: string, by: number) => {
    counts.set(name, countOf(name) + by);
    for (const watcher of watchers) watcher();
  };
  return {
    ...signals,
    async subscribe(name, listener) {
      const unsubscribe = await signals.subscribe(name, listener);
      change(name, 1);
      let subscribed = true;
      return () => {
        unsubscribe();
        if (subscribed) change(name, -1);
        subscribed = false;
      };
    },
    subscribed: (name, count) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (countOf(name) !== count) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
  };
}
