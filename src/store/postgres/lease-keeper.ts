import { callWithin } from "../../internal/call-within.js";
import type { Clock } from "../../internal/clock.js";
import { leaseLost } from "./postgres-errors.js";

/** A renewable claim of this process. */
export interface Lease<Key> {
  readonly key: Key;
  /** Aborted when the lease is lost, before another process can have it. */
  readonly signal: AbortSignal;
  /** Ends the renewals. */
  end(): void;
}

/** Dependencies and times of a lease keeper. */
export interface LeaseKeeperOptions<Key> {
  /** How long a lease lasts after it was renewed, in milliseconds. */
  leaseMs: number;
  /** Renews these leases. Resolves with the lost ones among them. */
  renew: (keys: readonly Key[]) => Promise<readonly Key[]>;
  onLost: (key: Key) => void;
  onFailed: (cause: unknown) => void;
  /** Called with the leases that were lost because the event loop was blocked for this long, in milliseconds. */
  onStalled: (stalledMs: number, keys: readonly Key[]) => void;
  /** Called with the leases that were lost because no renewal succeeded, although the event loop ran. */
  onUnrenewed: (keys: readonly Key[]) => void;
  clock: Clock;
  /** A time in milliseconds that is never set. */
  monotonicMs: () => number;
}

/** Renews leases, many with one call. */
export interface LeaseKeeper<Key> {
  /**
   * Keeps the lease of a call that was sent at this monotonic time; the database counts from a
   * later one.
   */
  keep(key: Key, sentAtMs: number): Lease<Key>;
  /** Gives up all leases, and aborts their signals: none is renewed any more. */
  abandon(): void;
}

interface Held<Key> {
  readonly key: Key;
  readonly controller: AbortController;
  /** Monotonic, from before the last successful renewal was sent. */
  renewedAtMs: number;
}

/**
 * Creates a lease keeper. It renews a lease after each third of its time, and gives it up after
 * four fifths without a renewal. The keeper uses this process's clock, so that a process that was
 * stopped or disconnected gives up before another process can get the lease.
 */
export function createLeaseKeeper<Key>(options: LeaseKeeperOptions<Key>): LeaseKeeper<Key> {
  const { leaseMs, clock, monotonicMs } = options;
  const renewAfterMs = leaseMs / 3;
  const giveUpAfterMs = leaseMs * 0.8;
  const tickMs = leaseMs / 20;
  const held = new Set<Held<Key>>();
  /** Leases that a caller found expired before the next tick. */
  const expiredEarly = new Set<Held<Key>>();
  const { signal: never } = new AbortController();
  let lastTickMs = 0;
  let isTicking = false;
  let isRenewing = false;

  const lose = (lease: Held<Key>) => {
    if (!held.delete(lease)) return;
    lease.controller.abort(leaseLost());
    options.onLost(lease.key);
  };

  const renewDue = async () => {
    const sentAtMs = monotonicMs();
    const due = [...held].filter((lease) => sentAtMs - lease.renewedAtMs >= renewAfterMs);
    if (isRenewing || due.length === 0) return;
    isRenewing = true;
    try {
      const keys = due.map((lease) => lease.key);
      const lost = await callWithin(clock, renewAfterMs, never, () => options.renew(keys));
      for (const lease of due) {
        if (lost.includes(lease.key)) lose(lease);
        else lease.renewedAtMs = sentAtMs;
      }
    } catch (cause) {
      options.onFailed(cause);
    } finally {
      isRenewing = false;
    }
  };

  const tick = () => {
    const nowMs = monotonicMs();
    const expired = [...held].filter((lease) => nowMs - lease.renewedAtMs >= giveUpAfterMs);
    for (const lease of expired) lose(lease);
    const keys = [...expiredEarly, ...expired].map((lease) => lease.key);
    expiredEarly.clear();
    const stalledMs = nowMs - lastTickMs - tickMs;
    lastTickMs = nowMs;
    if (keys.length > 0) {
      // If a stall left enough time for a renewal, the stall is not the cause.
      if (stalledMs >= renewAfterMs) options.onStalled(stalledMs, keys);
      else options.onUnrenewed(keys);
    }
    if (held.size === 0) {
      isTicking = false;
      return;
    }
    void renewDue();
    clock.schedule(tickMs, tick);
  };

  return {
    keep(key, sentAtMs) {
      const lease = { key, controller: new AbortController(), renewedAtMs: sentAtMs };
      held.add(lease);
      if (!isTicking) {
        isTicking = true;
        lastTickMs = monotonicMs();
        clock.schedule(tickMs, tick);
      }
      return {
        key,
        get signal() {
          // After a stall of the process, timers are late. The time is checked here because the
          // caller's next decision depends on the signal.
          if (monotonicMs() - lease.renewedAtMs >= giveUpAfterMs && held.has(lease)) {
            expiredEarly.add(lease);
            lose(lease);
          }
          return lease.controller.signal;
        },
        end: () => held.delete(lease),
      };
    },
    abandon() {
      for (const { controller } of held) controller.abort(leaseLost());
      held.clear();
    },
  };
}
