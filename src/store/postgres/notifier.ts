import { notifySafely } from "../../internal/notify-safely.js";
import type { StoreOptions } from "../operation-store.js";
import type { Database } from "./database.js";
import type { PostgresObserver } from "./postgres-observer.js";

/** Dependencies of a notifier. */
export interface NotifierOptions {
  database: Database;
  channel: string;
  observer: PostgresObserver | undefined;
}

/** Sends payloads to the listeners of one channel, in all processes. */
export interface Notifier {
  /**
   * Sends a payload soon, or with a transaction soon after its commit. Resolves before it is sent;
   * the observer is called if sending fails. A transaction without `afterCommit` contains the
   * NOTIFY, and the promise rejects if that fails.
   */
  notify(payload: string, options?: StoreOptions): Promise<void>;
  /** Sends the gathered payloads and accepts no more. Calling it again joins the first call. */
  close(): Promise<void>;
}

/** How many payloads wait at most while a statement is under way; more are lost. */
const maxGathered = 10_000;

/** A payload is shorter than this (PostgreSQL, NOTIFY). One that is not would fail all the others. */
const payloadBytesEnd = 8000;

const utf8 = new TextEncoder();

/**
 * Creates a notifier. NOTIFY takes a lock of the whole server from before its commit until after
 * the flush, so transactions with a NOTIFY commit one after the other. Therefore no writing
 * transaction contains a NOTIFY. One statement, which has nothing to flush, sends the payloads of
 * several commits, each payload once. If a process dies between the commit and that statement, it
 * sends nothing, so listeners must poll too.
 */
export function createNotifier({ database, channel, observer }: NotifierOptions): Notifier {
  const gathered = new Set<string>();
  let sending: Promise<void> | undefined;
  let isClosed = false;

  const lost = (count: number, cause: unknown) =>
    notifySafely(observer, (to) => to.notificationsLost?.({ channel, count, cause }));

  const sendGathered = async () => {
    while (gathered.size > 0) {
      // One commit may publish many payloads.
      await undefined;
      const payloads = [...gathered];
      gathered.clear();
      try {
        await database.rows(
          "select pg_notify($1, payload) from unnest($2::text[]) as payload",
          [channel, payloads],
          undefined,
        );
      } catch (cause) {
        lost(payloads.length, cause);
      }
    }
    sending = undefined;
  };

  const gather = (payload: string) => {
    if (isClosed) return;
    if (gathered.size >= maxGathered && !gathered.has(payload)) {
      lost(1, new RangeError(`${maxGathered} notifications wait already`));
      return;
    }
    gathered.add(payload);
    sending ??= sendGathered();
  };

  return {
    async notify(payload, options) {
      if (isTooLong(payload)) {
        lost(1, new RangeError(`a payload must be shorter than ${payloadBytesEnd} bytes`));
        return;
      }
      const { transaction } = options ?? {};
      if (transaction === undefined) gather(payload);
      else if (transaction.afterCommit !== undefined)
        transaction.afterCommit(() => gather(payload));
      else await database.rows("select pg_notify($1, $2)", [channel, payload], { transaction });
    },
    async close() {
      isClosed = true;
      await sending;
    },
  };
}

function isTooLong(payload: string): boolean {
  // UTF-8 needs at most three bytes for a UTF-16 code unit.
  if (payload.length * 3 < payloadBytesEnd) return false;
  return utf8.encode(payload).length >= payloadBytesEnd;
}
