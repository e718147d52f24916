import type { Dispatcher, OperationStore, Signals } from "../store/index.js";
import { createMemoryStore } from "../store/index.js";
import type { PostgresObserver } from "../store/postgres/index.js";
import type { CountingStore } from "../store/sqlite/index.js";
import { storeNotOpened } from "./errors.js";

/** Most operations that are held in memory. */
export const maxOperations = 100_000;

/** Where `longrunning serve` keeps its operations: in memory, where neither is given. */
export interface StorePlace {
  /** A SQLite file. */
  readonly data?: string | undefined;
  /** A PostgreSQL database, as `pg` reads it. */
  readonly databaseUrl?: string | undefined;
}

/** A store that is open, with what carries work and news between those that share it. */
export interface OpenStore {
  readonly store: OperationStore;
  /** Undefined: within this process. */
  readonly dispatcher: Dispatcher | undefined;
  /** Undefined: within this process. */
  readonly signals: Signals | undefined;
  /**
   * The same store, where it is a database: it can fail while the process lives, so that its
   * health is to be watched, and it counts. Undefined: it is in memory.
   */
  readonly database: CountingStore | undefined;
  /** Close all of it, where no server of operations has come to own it. */
  close(): Promise<void>;
}

/**
 * Open the store. The drivers are loaded here, when they are wanted.
 *
 * @param observer Hears of what PostgreSQL's parts do. Undefined: nobody does.
 * @throws CommanderError that says why it cannot be opened, or which package is missing.
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

/** A store that this process has for itself. */
function alone(store: OperationStore, database: CountingStore | undefined): OpenStore {
  return {
    store,
    dispatcher: undefined,
    signals: undefined,
    database,
    close: () => store.close(),
  };
}
