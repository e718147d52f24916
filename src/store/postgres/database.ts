import { storeClosed } from "../errors.js";
import type { StoreOptions, Transaction } from "../operation-store.js";
import { isRow, type Row } from "../sql/row.js";
import { databaseError } from "./database-error.js";
import type { PostgresClient, PostgresPool } from "./postgres-pool.js";

/** Statements and transactions over a pool, with errors that a client may see. */
export interface Database {
  /** The rows of one statement, in the caller's transaction where there is one. */
  rows(text: string, values: readonly unknown[], options: StoreOptions | undefined): Promise<Row[]>;
  /**
   * Run `work` in a transaction of its own: committed once it resolves, and rolled back
   * if it rejects, with what it rejected with.
   */
  transaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T>;
  /** Refuse everything from now on. */
  close(): void;
}

/** How a transaction is run. */
export interface TransactionOptions {
  /** How long one of its statements waits for a lock at most, in whole milliseconds. Default: as the connection has it. */
  lockTimeoutMs?: number | undefined;
}

/** Each method rejects with a ConnectError, but for what `work` rejects with. */
export function createDatabase(pool: PostgresPool): Database {
  let isClosed = false;
  return {
    async rows(text, values, options) {
      if (isClosed) throw storeClosed();
      const { transaction } = options ?? {};
      try {
        const result =
          transaction === undefined
            ? await pool.query(text, [...values])
            : await transaction.executeSql(text, [...values]);
        return result.rows.filter(isRow);
      } catch (cause) {
        throw databaseError(cause);
      }
    },
    async transaction(work, { lockTimeoutMs } = {}) {
      if (isClosed) throw storeClosed();
      const client = await connect(pool);
      const callbacks: (() => void)[] = [];
      const transaction: Transaction = {
        executeSql: (text, values) => client.query(text, values),
        afterCommit: (callback) => callbacks.push(callback),
      };
      const result = await runWithin(client, beginning(lockTimeoutMs), () => work(transaction));
      for (const callback of callbacks) callback();
      return result;
    },
    close() {
      isClosed = true;
    },
  };
}

async function connect(pool: PostgresPool): Promise<PostgresClient> {
  try {
    return await pool.connect();
  } catch (cause) {
    throw databaseError(cause);
  }
}

/** One statement, or two that are sent as one. */
function beginning(lockTimeoutMs: number | undefined): string {
  // What waits for a lock reads afterwards, and must see what the other has committed.
  const begin = "begin isolation level read committed";
  return lockTimeoutMs === undefined
    ? begin
    : `${begin}; set local lock_timeout = ${lockTimeoutMs}`;
}

/** Gives the client back, whatever happens; closed, where its transaction may be open still. */
async function runWithin<T>(
  client: PostgresClient,
  begin: string,
  work: () => Promise<T>,
): Promise<T> {
  let isOver = false;
  // The next statement fails then, and that is what counts.
  const onError = () => undefined;
  client.on("error", onError);
  try {
    await execute(client, begin);
    let result: T;
    try {
      result = await work();
    } catch (cause) {
      await client.query("rollback", []).then(
        () => {
          isOver = true;
        },
        // The connection is lost, and its transaction with it.
        () => undefined,
      );
      throw cause;
    }
    await execute(client, "commit");
    isOver = true;
    return result;
  } finally {
    client.release(!isOver);
    client.removeListener("error", onError);
  }
}

async function execute(client: PostgresClient, text: string): Promise<void> {
  try {
    await client.query(text, []);
  } catch (cause) {
    throw databaseError(cause);
  }
}
