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

/** How signals travel between the processes of a database. */
export interface PostgresSignalsOptions {
  /** Connections for publishing outside of a transaction. */
  pool: PostgresPool;
  /** What hears; `close` closes it. Absent: nothing is heard of other processes. */
  listener?: NotificationListener | undefined;
  /** The channel is named after it. Default: `longrunning`. */
  schema?: string | undefined;
  /**
   * How often whoever waits looks without a signal, in milliseconds, at least 1. Default:
   * 5000.
   */
  pollIntervalMs?: number | undefined;
  /**
   * False: send no NOTIFY. Then processes hear of each other by polling alone. Default:
   * true.
   */
  notify?: boolean | undefined;
  observer?: PostgresObserver | undefined;
}

/**
 * Signals by LISTEN and NOTIFY. One that is published in a transaction is sent once that
 * has committed. This process hears its own at once, and again when they come back. After
 * the connection was lost all subscribers hear `missed`.
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

  const tell = (name: string, kind: SignalKind) => {
    for (const subscriber of [...(subscribers.get(name) ?? [])]) subscriber(kind);
  };
  const listen = (by: NotificationListener) =>
    by.listen(channel, {
      notified(payload) {
        const signal = parseSignal(payload);
        if (signal !== undefined) tell(signal.name, signal.kind);
      },
      missed() {
        for (const name of [...subscribers.keys()]) tell(name, "missed");
      },
    });

  return {
    pollIntervalMs,
    async subscribe(name, subscriber) {
      const ofName = subscribers.get(name) ?? new Set();
      // A function of its own, so that one listener can be subscribed twice.
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
      // Here there is nothing to wait for; a transaction that tells nobody when it commits is left
      // to its NOTIFY, or to polling.
      if (transaction === undefined || transaction.afterCommit !== undefined) {
        afterCommit(publishOptions, "signals", () => tell(name, kind));
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

/** Undefined for what is not of our making: anybody may notify a channel. */
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
