import { callWithin } from "../../internal/call-within.js";
import { type Clock, systemClock } from "../../internal/clock.js";
import { notifySafely } from "../../internal/notify-safely.js";
import { inRange, longestMs } from "../../internal/option-bounds.js";
import { closedInTime, destroyConnection } from "./close-limit.js";
import type { PostgresObserver } from "./postgres-observer.js";
import type { PostgresListenClient } from "./postgres-pool.js";

/** How a listener connects, and checks that it is connected. */
export interface NotificationListenerOptions {
  /**
   * Returns a client that is not connected yet, for a session of its own: not through PgBouncer in
   * transaction mode.
   */
  newClient: () => PostgresListenClient;
  /**
   * How often the connection is checked, in milliseconds, at least 1, because TCP keep-alive notices a
   * partition too late. Default: 10,000.
   */
  keepAliveIntervalMs?: number | undefined;
  /** How long connecting and each check may take, in milliseconds, at least 1. Default: 5000. */
  answerTimeoutMs?: number | undefined;
  observer?: PostgresObserver | undefined;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Callbacks for one channel. */
export interface ChannelListener {
  notified(payload: string): void;
  /** Called when the connection is back, or made for the first time: earlier notifications were lost. */
  missed(): void;
}

/** The connection on which a process receives all notifications. */
export interface NotificationListener {
  /**
   * Listens to a channel. Resolves when the session listens. If the connection cannot be made now,
   * it resolves too, and `missed` is called as soon as the session listens. It listens again after
   * the connection was lost.
   */
  listen(channel: string, listener: ChannelListener): Promise<void>;
  /** Closes the connection for good. */
  close(): Promise<void>;
}

/** Delays before the connection is made again: from the first to the last, doubled each time. */
const firstReconnectDelayMs = 100;
const lastReconnectDelayMs = 5000;

/**
 * @throws RangeError for an option out of its bounds.
 */
export function createNotificationListener(
  options: NotificationListenerOptions,
): NotificationListener {
  const { newClient, observer } = options;
  const clock = options.clock ?? systemClock;
  const bounded = (option: string, value: number) => inRange(option, value, 1, longestMs);
  const keepAliveIntervalMs = bounded("keepAliveIntervalMs", options.keepAliveIntervalMs ?? 10_000);
  const answerTimeoutMs = bounded("answerTimeoutMs", options.answerTimeoutMs ?? 5000);
  const listeners = new Map<string, Set<ChannelListener>>();
  const closing = new AbortController();
  let client: PostgresListenClient | undefined;
  /** The connecting that is under way or has ended; undefined before the first. */
  let connecting: Promise<void> | undefined;
  let unschedule: (() => void) | undefined;
  let failures = 0;
  let lostAtMs: number | undefined;

  const bound = <T>(call: () => Promise<T>) =>
    callWithin(clock, answerTimeoutMs, closing.signal, call);

  const connect = async () => {
    const candidate = newClient();
    candidate.on("error", (cause) => lose(candidate, cause));
    candidate.on("end", () => lose(candidate, new Error("the connection has ended")));
    candidate.on("notification", ({ channel, payload }) => {
      if (candidate !== client) return;
      for (const listener of listeners.get(channel) ?? []) listener.notified(payload ?? "");
    });
    client = candidate;
    try {
      await bound(() => candidate.connect());
      await bound(() => listenTo(candidate, [...listeners.keys()]));
    } catch (cause) {
      lose(candidate, cause);
      return;
    }
    if (candidate !== client) return;
    failures = 0;
    scheduleKeepAlive(candidate);
    if (lostAtMs === undefined) return;
    const lostMs = Math.max(0, clock.nowMs() - lostAtMs);
    lostAtMs = undefined;
    notifySafely(observer, (to) => to.listenerRestored?.({ lostMs }));
    for (const channel of listeners.values()) for (const listener of channel) listener.missed();
  };

  /** Let a connection go, and make another after a while. */
  const lose = (lost: PostgresListenClient, cause: unknown) => {
    if (lost !== client) return;
    client = undefined;
    unschedule?.();
    end(lost);
    if (closing.signal.aborted) return;
    if (lostAtMs === undefined) notifySafely(observer, (to) => to.listenerLost?.({ cause }));
    lostAtMs ??= clock.nowMs();
    const delayMs = Math.min(firstReconnectDelayMs * 2 ** failures, lastReconnectDelayMs);
    failures += 1;
    // The delay is random so that not all processes reconnect to a restarted server at once.
    unschedule = clock.schedule(delayMs * (0.5 + Math.random() / 2), () => {
      connecting = connect();
    });
  };

  const scheduleKeepAlive = (target: PostgresListenClient) => {
    unschedule = clock.schedule(keepAliveIntervalMs, () => {
      bound(() => assertListening(target, [...listeners.keys()])).then(
        () => {
          if (target === client) scheduleKeepAlive(target);
        },
        (cause: unknown) => lose(target, cause),
      );
    });
  };

  return {
    async listen(channel, listener) {
      const isNew = !listeners.has(channel);
      const ofChannel = listeners.get(channel) ?? new Set();
      listeners.set(channel, ofChannel.add(listener));
      if (closing.signal.aborted) return;
      const isFirst = connecting === undefined;
      connecting ??= connect();
      await connecting;
      const target = client;
      if (isFirst || !isNew || target === undefined) return;
      await bound(() => listenTo(target, [channel])).catch((cause: unknown) => lose(target, cause));
    },
    async close() {
      closing.abort();
      unschedule?.();
      const target = client;
      client = undefined;
      listeners.clear();
      if (target === undefined) return;
      await closedInTime([target.end()]);
      destroyConnection(target);
    },
  };
}

async function listenTo(client: PostgresListenClient, channels: readonly string[]): Promise<void> {
  for (const channel of channels) await client.query(`listen "${channel}"`, []);
}

/**
 * A pooler between this and the server may have put the session's statements on
 * different connections: then it answers, and hears nothing.
 */
async function assertListening(
  client: PostgresListenClient,
  channels: readonly string[],
): Promise<void> {
  const { rows } = await client.query(
    "select from pg_listening_channels() as listening (channel) where channel = any($1::text[])",
    [channels],
  );
  if (rows.length < channels.length) throw new Error("the session does not listen any more");
}

/** Ends a broken connection, which may fail or never resolve. */
function end(client: PostgresListenClient): void {
  client.end().catch(() => undefined);
}
