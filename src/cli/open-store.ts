import { createShards } from "../server/index.js";
import type { Dispatcher, OperationStore, Signals } from "../store/index.js";
import { createMemoryStore } from "../store/index.js";
import type { PostgresObserver } from "../store/postgres/index.js";
import type { CountingStore } from "../store/sqlite/index.js";
import { storeNotOpened } from "./errors.js";

/** The most operations in memory. */
export const maxOperations = 100_000;

/** The store of `longrunning serve`: memory if both are undefined. */
export interface StorePlace {
  /** A SQLite file. */
  readonly data?: string | undefined;
  /** PostgreSQL databases in the form of `pg`. Several are shards, which their order numbers. */
  readonly databaseUrl?: readonly string[] | undefined;
}

/** An open store, with the dispatcher and the signals of the servers that share it. */
export interface OpenStore {
  readonly store: OperationStore;
  /** If undefined, the queue is in this process. */
  readonly dispatcher: Dispatcher | undefined;
  /** If undefined, signals stay within this process. */
  readonly signals: Signals | undefined;
  /** The store if it counts its operations. Undefined for the memory store. */
  readonly counting: CountingStore | undefined;
  /** Databases behind the store, whose health the server watches, as they can fail while it lives. */
  readonly databases: readonly OperationStore[];
  /** Closes the store and its parts. Call it only if no server owns them. */
  close(): Promise<void>;
}

/**
 * Opens the store, and loads its driver.
 *
 * @param observer Receives the events of the PostgreSQL store. Default: none.
 * @throws CommanderError that names the reason or the missing package.
 */
export async function openStore(
  place: StorePlace,
  observer: PostgresObserver | undefined,
): Promise<OpenStore> {
  const option = place.data === undefined ? "--database-url" : "--data";
  try {
    if (place.data !== undefined) {
      const { createSqliteStore } = await import("../store/sqlite/index.js");
      const database = await createSqliteStore({ path: place.data });
      return alone(database, database);
    }
    const [first, ...others] = place.databaseUrl ?? [];
    if (first !== undefined) return await openPostgres([first, ...others], observer);
  } catch (cause) {
    throw storeNotOpened(option, cause);
  }
  return alone(createMemoryStore({ maxOperations }), undefined);
}

async function openPostgres(
  urls: readonly string[],
  observer: PostgresObserver | undefined,
): Promise<OpenStore> {
  const { connectPostgres } = await import("../store/postgres/index.js");
  const parts: Awaited<ReturnType<typeof connectPostgres>>[] = [];
  const close = async () => {
    await Promise.all(parts.map(({ dispatcher }) => dispatcher.stop()));
    await Promise.all(parts.map(({ signals }) => signals.close()));
    await Promise.all(parts.map(({ store }) => store.close()));
  };
  try {
    for (const connectionString of urls) {
      parts.push(await connectPostgres({ connectionString, observer }));
    }
    const [only] = parts;
    const whole = parts.length === 1 && only !== undefined ? only : createShards(parts);
    return {
      store: whole.store,
      dispatcher: whole.dispatcher,
      signals: whole.signals,
      counting: whole.store,
      databases: parts.map(({ store }) => store),
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** Wraps a store that no other process shares. */
function alone(store: OperationStore, database: CountingStore | undefined): OpenStore {
  return {
    store,
    dispatcher: undefined,
    signals: undefined,
    counting: database,
    databases: database === undefined ? [] : [database],
    close: () => store.close(),
  };
}
