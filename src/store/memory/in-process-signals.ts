import type { SignalKind, Signals } from "../signals.js";
import { afterCommit } from "./after-commit.js";

/** One subscription, in a chain of all to the same name: mostly there is but one. */
interface Subscription {
  readonly listener: (kind: SignalKind) => void;
  next: Subscription | undefined;
}

/** Creates signals within this process. None of them is ever lost. */
export function createInProcessSignals(): Signals {
  const subscriptions = new Map<string, Subscription>();
  return {
    pollIntervalMs: undefined,
    async subscribe(name, listener) {
      const own: Subscription = { listener, next: subscriptions.get(name) };
      subscriptions.set(name, own);
      return () => {
        const first = subscriptions.get(name);
        if (first !== own) unlink(first, own);
        else if (own.next !== undefined) subscriptions.set(name, own.next);
        else subscriptions.delete(name);
      };
    },
    async publish(name, kind, options) {
      afterCommit(options, "in-process signals", () => {
        for (let each = subscriptions.get(name); each !== undefined; each = each.next) {
          each.listener(kind);
        }
      });
    },
    async close() {
      subscriptions.clear();
    },
  };
}

/** Removes a link after the first one. It keeps its own `next`, because a call in progress may follow it. */
function unlink(first: Subscription | undefined, gone: Subscription): void {
  for (let each = first; each !== undefined; each = each.next) {
    if (each.next === gone) each.next = gone.next;
  }
}
