import { tell } from "../../internal/tell.js";
import type { StoreOptions } from "../operation-store.js";
import type { Database } from "./database.js";
import type { PostgresObserver } from "./postgres-observer.js";

/** What a notifier stands on. */
export interface NotifierOptions {
  database: Database;
  channel: string;
  observer: PostgresObserver | undefined;
}

/** Sends hints to the listeners of one channel, in all processes. */
export interface Notifier {
  /**
   * Have a payload sent: soon, or with a transaction soon after that has committed. Resolves
   * before it is sent; one that cannot be is told to the observer. Only a transaction that tells
   * nobody when it commits has the NOTIFY in it, and rejects where that fails.
   */
  notify(payload: string, options?: StoreOptions): Promise<void>;
  /** Send what was gathered, and nothing any more. Calling it again joins the first call. */
  close(): Promise<void>;
}

/** How many payloads wait at most while a statement is under way; more are lost. */
const maxGathered = 10_000;

/** A payload is shorter than this (PostgreSQL, NOTIFY). One that is not would fail all the others. */
const payloadBytesEnd = 8000;

const utf8 = new TextEncoder();

/**
 * NOTIFY takes a lock of the whole server from before its commit until after the flush of that,
 * so that transactions with one commit one after the other. So none of them is in a
 * transaction that writes: what was committed meanwhile is sent by one statement, which has nothing
 * to flush, and each payload once. A process that dies between the two has sent nothing: whoever
 * listens must poll besides.
 */
export function createNotifier({ database, channel, observer }: NotifierOptions): Notifier {
  const gathered = new Set<string>();
  let sending: Promise<void> | undefined;
  let isClosed = false;

  const lost = (count: number, cause: unknown) =>
    tell(observer, (to) => to.notificationsLost?.({ channel, count, cause }));

  const sendGathered = async () => {
    while (gathered.size > 0) {
      // One commit may tell of many.
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
  // A character has no more than three bytes.
  if (payload.length * 3 < payloadBytesEnd) return false;
  return utf8.encode(payload).length >= payloadBytesEnd;
}
