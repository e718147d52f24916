import { notifySafely } from "../../internal/notify-safely.js";
import { storeClosed, transactionOver } from "../errors.js";
import type { StoreOptions, Transaction } from "../operation-store.js";
import { isRow, type Row } from "../sql/row.js";
import { databaseError } from "./database-error.js";
import { databaseFailed } from "./postgres-errors.js";
import {
  guardPool,
  type PostgresClient,
  type PostgresPool,
  type QueryResult,
} from "./postgres-pool.js";

/** The SQLSTATE "in_failed_sql_transaction". */
const failedTransaction = "25P02";

/** Runs statements and transactions over a pool, with errors that a client may see. */
export interface Database {
  /** Returns the rows of one statement, which runs in the caller's transaction if there is one. */
  rows(text: string, values: readonly unknown[], options: StoreOptions | undefined): Promise<Row[]>;
  /**
   * Runs `work` in a transaction of its own. Commits once `work` resolves; rolls back and rejects
   * with the same error if it rejects. The statements of `work` are executed one after the
   * other, and are refused once it has settled.
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
  /** How long a statement waits for a lock, in whole milliseconds. Default: the connection's setting. */
  lockTimeoutMs?: number | undefined;
}

/**
 * Creates a database over a pool. Every method rejects with a ConnectError, except with the error
 * of `work`.
 */
export function createDatabase(pool: PostgresPool): Database {
  let isClosed = false;
  guardPool(pool);
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
      const run = inSequence(client);
      let isOver = false;
      const transaction: Transaction = {
        async executeSql(text, values) {
          // The pool may have given the connection to another caller by this time.
          if (isOver) throw transactionOver();
          return run(text, values);
        },
        afterCommit: (callback) => callbacks.push(callback),
      };
      const result = await runWithin(client, run, beginning(lockTimeoutMs), async () => {
        try {
          return await work(transaction);
        } finally {
          isOver = true;
        }
      });
      // An error of a callback does not undo the commit.
      for (const callback of callbacks) notifySafely(callback, (call) => call());
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

type Run = PostgresClient["query"];

/** Runs statements in the order in which they come: the driver is to have one at a time. */
function inSequence(client: PostgresClient): Run {
  let last: Promise<unknown> = Promise.resolve();
  return (text, values) => {
    const result = last.then(() => client.query(text, values));
    last = result.catch(() => undefined);
    return result;
  };
}

/** One statement, or two that are sent as one. */
function beginning(lockTimeoutMs: number | undefined): string {
  // A statement that waited for a lock must see the rows that the other transaction committed.
  const begin = "begin isolation level read committed";
  return lockTimeoutMs === undefined
    ? begin
    : `${begin}; set local lock_timeout = ${lockTimeoutMs}`;
}

/** Gives the client back, whatever happens; closed, where its transaction may be open still. */
async function runWithin<T>(
  client: PostgresClient,
  run: Run,
  begin: string,
  work: () => Promise<T>,
): Promise<T> {
  let isOver = false;
  // The listener reports nothing, because the next statement fails on the lost connection, and the
  // transaction fails with it.
  const onError = () => undefined;
  client.on("error", onError);
  try {
    await execute(run, begin);
    let result: T;
    try {
      result = await work();
    } catch (cause) {
      await run("rollback", []).then(
        () => {
          isOver = true;
        },
        // A failed rollback needs no report: the connection is lost, and the server ends its
        // transaction.
        () => undefined,
      );
      throw cause;
    }
    const { command } = await execute(run, "commit");
    isOver = true;
    // PostgreSQL responds to a commit with ROLLBACK if `work` ignored the failure of a statement.
    if (command === "ROLLBACK") throw databaseFailed(failedTransaction, undefined);
    return result;
  } finally {
    client.release(!isOver);
    client.removeListener("error", onError);
  }
}

async function execute(run: Run, text: string): Promise<QueryResult> {
  try {
    return await run(text, []);
  } catch (cause) {
    throw databaseError(cause);
  }
}
