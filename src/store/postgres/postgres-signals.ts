import { inRange, longestMs } from "../../internal/option-bounds.js";
import { afterCommit } from "../memory/after-commit.js";
import type { SignalKind, Signals } from "../signals.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { closedInTime } from "./close-limit.js";
import { createDatabase } from "./database.js";
import type { NotificationListener } from "./notification-listener.js";
import { createNotifier } from "./notifier.js";
import type { PostgresObserver } from "./postgres-observer.js";
import type { PostgresPool } from "./postgres-pool.js";
import { defaultSchema, schemaName } from "./schema-name.js";

/** The connections and the channel of signals between the processes of a database. */
export interface PostgresSignalsOptions {
  /** Connections for publishing outside of a transaction. */
  pool: PostgresPool;
  /** Receives the signals of other processes; `close` closes it. Absent: waiters poll. */
  listener?: NotificationListener | undefined;
  /** The channel is named after it. Default: `longrunning`. */
  schema?: string | undefined;
  /**
   * How often a waiter reads its operation without a signal, in milliseconds, at least 1.
   * Default: 5000.
   */
  pollIntervalMs?: number | undefined;
  /**
   * Whether signals are sent to other processes by NOTIFY. If not, those poll. Default: true.
   */
  notify?: boolean | undefined;
  observer?: PostgresObserver | undefined;
}

/**
 * Creates signals by LISTEN and NOTIFY. A signal in a transaction is sent after its commit.
 * Subscribers in this process receive it at once, and again when the notification arrives. After
 * the connection was lost, all subscribers receive `missed`.
 *
 * @throws RangeError for an option out of its bounds.
 */
export function createPostgresSignals(options: PostgresSignalsOptions): Signals {
  const { listener } = options;
  const channel = `${schemaName(options.schema ?? defaultSchema)}_signals`;
  const pollIntervalMs = inRange("pollIntervalMs", options.pollIntervalMs ?? 5000, 1, longestMs);
  const database = createDatabase(options.pool);
  const notifier =
    (options.notify ?? true)
      ? createNotifier({ database, channel, observer: options.observer })
      : undefined;
  const subscribers = new Map<string, Set<(kind: SignalKind) => void>>();
  let listening: Promise<void> | undefined;
  let isClosed = false;
  let closing: Promise<void> | undefined;

  const notifySubscribers = (name: string, kind: SignalKind) => {
    for (const subscriber of [...(subscribers.get(name) ?? [])]) subscriber(kind);
  };
  const listen = (by: NotificationListener) =>
    by.listen(channel, {
      notified(payload) {
        const signal = parseSignal(payload);
        if (signal !== undefined) notifySubscribers(signal.name, signal.kind);
      },
      missed() {
        for (const name of [...subscribers.keys()]) notifySubscribers(name, "missed");
      },
    });

  return {
    pollIntervalMs,
    async subscribe(name, subscriber) {
      const ofName = subscribers.get(name) ?? new Set();
      // Each subscription is a new function, so that one listener can be subscribed twice.
      const own = (kind: SignalKind) => subscriber(kind);
      if (!isClosed) subscribers.set(name, ofName.add(own));
      if (listener !== undefined && !isClosed) {
        listening ??= listen(listener);
        await listening;
      }
      return () => {
        ofName.delete(own);
        if (ofName.size === 0 && subscribers.get(name) === ofName) subscribers.delete(name);
      };
    },
    async publish(name, kind, publishOptions) {
      await notifier?.notify(`${kind} ${escapeNul(name)}`, publishOptions);
      const { transaction } = publishOptions ?? {};
      // Subscribers in this process need no NOTIFY. If a transaction has no `afterCommit`, they
      // receive the NOTIFY or poll.
      if (transaction === undefined || transaction.afterCommit !== undefined) {
        afterCommit(publishOptions, "signals", () => notifySubscribers(name, kind));
      }
    },
    close() {
      closing ??= (async () => {
        isClosed = true;
        subscribers.clear();
        await closedInTime([notifier?.close() ?? Promise.resolve()]);
        database.close();
        await listener?.close();
      })();
      return closing;
    },
  };
}

/** Returns undefined for another format: every client of the database may notify the channel. */
function parseSignal(payload: string): { kind: SignalKind; name: string } | undefined {
  const at = payload.indexOf(" ");
  const kind = payload.slice(0, Math.max(at, 0));
  const name = unescapeNul(payload.slice(at + 1));
  switch (kind) {
    case "done":
    case "cancel-requested":
    case "deleted":
    case "missed":
      return { kind, name };
    default:
      return undefined;
  }
}
