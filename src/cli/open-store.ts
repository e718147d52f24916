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
  /** A PostgreSQL database, in the form of `pg`. */
  readonly databaseUrl?: string | undefined;
}

/** An open store, with the dispatcher and the signals of the servers that share it. */
export interface OpenStore {
  readonly store: OperationStore;
  /** If undefined, the queue is in this process. */
  readonly dispatcher: Dispatcher | undefined;
  /** If undefined, signals stay within this process. */
  readonly signals: Signals | undefined;
  /**
   * The store if it is a database: it can fail while the process lives, so the server watches its
   * health, and it counts its operations. Undefined for the memory store.
   */
  readonly database: CountingStore | undefined;
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
    if (place.databaseUrl !== undefined) return await openPostgres(place.databaseUrl, observer);
  } catch (cause) {
    throw storeNotOpened(option, cause);
  }
  return alone(createMemoryStore({ maxOperations }), undefined);
}

async function openPostgres(
  connectionString: string,
  observer: PostgresObserver | undefined,
): Promise<OpenStore> {
  const { connectPostgres } = await import("../store/postgres/index.js");
  const { store, dispatcher, signals } = await connectPostgres({ connectionString, observer });
  return {
    store,
    dispatcher,
    signals,
    database: store,
    async close() {
      await dispatcher.stop();
      await signals.close();
      await store.close();
    },
  };
}

/** Wraps a store that no other process shares. */
function alone(store: OperationStore, database: CountingStore | undefined): OpenStore {
  return {
    store,
    dispatcher: undefined,
    signals: undefined,
    database,
    close: () => store.close(),
  };
}
