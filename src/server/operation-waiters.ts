import { canceledBy } from "../internal/canceled-by.js";
import type { Clock } from "../internal/clock.js";
import type { OperationRecord, OperationStore } from "../store/operation-store.js";
import type { Signals, Unsubscribe } from "../store/signals.js";

/** Those who wait for operations to be done. */
export interface OperationWaiters {
  /**
   * The record as soon as it is done; the latest state after `timeoutMs`
   * milliseconds or when the server drains; undefined as soon as it is not found.
   *
   * @throws ConnectError `Code.Canceled` as soon as `signal` aborts.
   */
  wait(name: string, timeoutMs: number, signal: AbortSignal): Promise<OperationRecord | undefined>;
  /** Have all waits, also later ones, end with the latest state. */
  drain(): void;
}

/** One who waits. `woken` remembers a signal that came while the record was being read. */
interface Waiter {
  woken: boolean;
  wake: (() => void) | undefined;
}

/** The one subscription that all who wait for an operation share. */
interface Topic {
  readonly waiters: Set<Waiter>;
  readonly subscribed: Promise<Unsubscribe>;
}

export function createOperationWaiters(
  store: OperationStore,
  signals: Signals,
  clock: Clock,
): OperationWaiters {
  const topics = new Map<string, Topic>();
  let draining = false;

  const join = (name: string, waiter: Waiter): Topic => {
    let topic = topics.get(name);
    if (topic === undefined) {
      const waiters = new Set<Waiter>();
      topic = { waiters, subscribed: signals.subscribe(name, () => wakeAll(waiters)) };
      topics.set(name, topic);
    }
    topic.waiters.add(waiter);
    return topic;
  };

  const leave = (name: string, topic: Topic, waiter: Waiter) => {
    topic.waiters.delete(waiter);
    if (topic.waiters.size > 0 || topics.get(name) !== topic) return;
    topics.delete(name);
    topic.subscribed.then((unsubscribe) => unsubscribe()).catch(() => undefined);
  };

  /** Resolves when the waiter is woken, or after the time, whichever is first. */
  const sleepUntilWoken = (waiter: Waiter, delayMs: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) {
        reject(canceledBy(signal));
        return;
      }
      if (waiter.woken) {
        resolve();
        return;
      }
      const onAbort = () => {
        unschedule();
        reject(canceledBy(signal));
      };
      waiter.wake = () => {
        unschedule();
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const unschedule = clock.schedule(delayMs, () => waiter.wake?.());
      signal.addEventListener("abort", onAbort, { once: true });
    });

  return {
    async wait(name, timeoutMs, signal) {
      const waiter: Waiter = { woken: false, wake: undefined };
      const topic = join(name, waiter);
      try {
        const startMs = clock.nowMs();
        // Subscribe, then read: a change in between is in the read or in the signal.
        await topic.subscribed;
        let leftMs = timeoutMs - Math.max(0, clock.nowMs() - startMs);
        for (;;) {
          waiter.woken = false;
          const record = await store.get(name);
          if (record === undefined || record.state === "done") return record;
          if (leftMs <= 0 || draining) return record;
          const sliceMs = Math.min(leftMs, signals.pollIntervalMs ?? leftMs);
          const before = clock.nowMs();
          await sleepUntilWoken(waiter, sliceMs, signal);
          // A clock that is set back must not make the wait longer.
          leftMs -= waiter.woken ? Math.min(Math.max(clock.nowMs() - before, 0), sliceMs) : sliceMs;
        }
      } finally {
        leave(name, topic, waiter);
      }
    },
    drain() {
      draining = true;
      for (const { waiters } of topics.values()) wakeAll(waiters);
    },
  };
}

function wakeAll(waiters: ReadonlySet<Waiter>): void {
  for (const waiter of waiters) {
    waiter.woken = true;
    waiter.wake?.();
  }
}
