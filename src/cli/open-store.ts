import type { Dispatcher, OperationStore, Signals } from "../server/index.js";
import { createMemoryStore } from "../server/index.js";
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
  /** Whether it can fail while the process lives, so that its health is to be watched. */
  readonly isDatabase: boolean;
  /** Close all of it, where no server of operations has come to own it. */
  close(): Promise<void>;
}

/**
 * Open the store. The drivers are loaded here, when they are wanted.
 *
 * @throws CommanderError that says why it cannot be opened, or which package is missing.
 */
export async function openStore(place: StorePlace): Promise<OpenStore> {
  try {
    if (place.data !== undefined) {
      const { createSqliteStore } = await import("../store/sqlite/index.js");
      return alone(await createSqliteStore({ path: place.data }), true);
    }
    if (place.databaseUrl !== undefined) return await openPostgres(place.databaseUrl);
  } catch (cause) {
    throw storeNotOpened(cause);
  }
  return alone(createMemoryStore({ maxOperations }), false);
}

async function openPostgres(connectionString: string): Promise<OpenStore> {
  const { connectPostgres } = await import("../store/postgres/index.js");
  const { store, dispatcher, signals } = await connectPostgres({ connectionString });
  return {
    store,
    dispatcher,
    signals,
    isDatabase: true,
    async close() {
      await dispatcher.stop();
      await signals.close();
      await store.close();
    },
  };
}

/** A store that this process has for itself. */
function alone(store: OperationStore, isDatabase: boolean): OpenStore {
  return {
    store,
    dispatcher: undefined,
    signals: undefined,
    isDatabase,
    close: () => store.close(),
  };
}
