import { Code, type ConnectError } from "@connectrpc/connect";
import { type Clock, monotonicMs } from "../../internal/clock.js";
import { nextImmediate } from "../../internal/next-immediate.js";
import { storeClosed, transactionOver, transactionUnsupported } from "../errors.js";
import type { StoreOptions, Transaction } from "../operation-store.js";
import { executeSql } from "./execute-sql.js";
import type { SqliteDatabase } from "./sqlite-database.js";
import { databaseError, databaseUnavailable, transactionTimedOut } from "./sqlite-errors.js";

/** Dependencies of a group commit. */
export interface GroupCommitParts {
  database: SqliteDatabase;
  /** Longest time that the work of a transaction may take, in milliseconds. */
  maxTransactionMs: number;
  clock: Clock;
}

/**
 * Runs the concurrent calls of many callers on one connection, one after the other, and flushes
 * their writes to the disk together. The writes of a group are one transaction of the database, and
 * no caller sees a write before its commit.
 */
export interface GroupCommit {
  /**
   * Runs synchronous `work` in a group, or in the caller's transaction if it has one. Rejects with
   * the error of `work` as a ConnectError; a single statement has written nothing then.
   */
  run<T>(work: () => T, options: StoreOptions | undefined): Promise<T>;
  /** Runs synchronous `work` that only reads: at once, unless a group is being written. */
  read<T>(work: () => T, options: StoreOptions | undefined): Promise<T>;
  /**
   * Runs `work` alone on the connection, and undoes its writes if it rejects. Other calls wait
   * meanwhile, so `work` must not wait for a call outside its transaction.
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Refuse what comes from now on. Resolves when what came before is done. */
  close(): Promise<void>;
}

/** One caller's part of a group. */
interface Member {
  /** Do it, and keep the outcome. Throws if the transaction of the whole group is lost. */
  perform(): Promise<void> | void;
  /** The group is committed: settles the promise of its caller. */
  settle(): void;
  /** The group is lost. */
  fail(cause: unknown): void;
}

/** Maximum size and duration of a group, which bound how long a caller waits for the others. */
const maxMembers = 500;
const maxGroupMs = 50;

type Outcome<T> = { readonly value: T } | { readonly thrown: unknown };

export function createGroupCommit(parts: GroupCommitParts): GroupCommit {
  const { database, maxTransactionMs, clock } = parts;
  const waiting: Member[] = [];
  /** The transactions whose `work` runs. */
  const open = new Set<Transaction>();
  /** All transactions of this store, as opposed to those of another one. */
  const known = new WeakSet<Transaction>();
  let isClosed = false;
  /** Whether the connection would show what is not committed. */
  let isGroupOpen = false;
  /** Why the transaction of the present group is lost. */
  let lost: { readonly cause: unknown } | undefined;
  let pumping: Promise<void> | undefined;

  const enqueue = <T>(
    perform: () => Promise<Outcome<T>> | Outcome<T>,
    committed: () => void = () => undefined,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      let outcome: Outcome<T> | undefined;
      const keep = (kept: Outcome<T>) => {
        outcome = kept;
      };
      waiting.push({
        perform() {
          const performed = perform();
          return performed instanceof Promise ? performed.then(keep) : keep(performed);
        },
        settle() {
          if (outcome === undefined || "thrown" in outcome) {
            reject(outcome?.thrown);
            return;
          }
          committed();
          resolve(outcome.value);
        },
        fail: (cause) =>
          reject(outcome && "thrown" in outcome ? outcome.thrown : groupError(cause)),
      });
      pumping ??= pump();
    });

  const pump = async () => {
    do {
      // Calls that other connections have sent meanwhile join the group.
      await nextImmediate();
      await commitGroup();
    } while (waiting.length > 0);
    pumping = undefined;
  };

  const commitGroup = async () => {
    const members: Member[] = [];
    const endMs = monotonicMs(clock) + maxGroupMs;
    lost = undefined;
    try {
      database.write("begin immediate");
      isGroupOpen = true;
      while (members.length < maxMembers && monotonicMs(clock) <= endMs) {
        const member = waiting.shift();
        if (member === undefined) break;
        members.push(member);
        const performed = member.perform();
        if (performed !== undefined) await performed;
      }
      database.write("commit");
    } catch (cause) {
      // If the database could not begin the transaction, no member has run.
      if (members.length === 0) members.push(...waiting.splice(0));
      rollBack();
      for (const member of members) member.fail(cause);
      return;
    } finally {
      isGroupOpen = false;
    }
    for (const member of members) member.settle();
  };

  const rollBack = () => {
    try {
      database.write("rollback");
    } catch {
      // SQLite has already rolled the transaction back.
    }
  };

  /**
   * Some failures undo the whole transaction with all earlier writes. Later writes must not happen
   * outside a transaction, so they go to a new one, which is undone.
   */
  const noteFailure = (cause: unknown) => {
    try {
      // SQLite refuses `begin` within a transaction.
      database.write("begin immediate");
    } catch {
      return;
    }
    lost ??= { cause };
  };

  const assertNotLost = () => {
    if (lost !== undefined) throw lost.cause;
  };

  const perform = <T>(work: () => T): Outcome<T> => {
    try {
      return { value: work() };
    } catch (cause) {
      noteFailure(cause);
      assertNotLost();
      return { thrown: databaseError(cause) };
    }
  };

  const assertOpen = (transaction: Transaction) => {
    if (!known.has(transaction)) throw transactionUnsupported("SQLite store");
    if (!open.has(transaction)) throw transactionOver();
  };

  /** Run `work` in a transaction that was handed out. */
  const within = async <T>(transaction: Transaction, work: () => T): Promise<T> => {
    assertOpen(transaction);
    try {
      return work();
    } catch (cause) {
      noteFailure(cause);
      throw databaseError(cause);
    }
  };

  const performTransaction = async <T>(
    work: (transaction: Transaction) => Promise<T>,
    committed: (() => void)[],
    rolledBack: (() => void)[],
  ): Promise<Outcome<T>> => {
    const transaction: Transaction = {
      // The caller wrote the statement, so the caller receives the driver's error unchanged.
      async executeSql(text, values) {
        assertOpen(transaction);
        try {
          return { rows: executeSql(database, text, values) };
        } catch (cause) {
          noteFailure(cause);
          throw cause;
        }
      },
      afterCommit: (callback) => committed.push(callback),
      afterRollback: (callback) => rolledBack.push(callback),
    };
    known.add(transaction);
    open.add(transaction);
    database.write("savepoint member");
    // The function is async so that it rejects even if the work throws before it returns a promise.
    const begin = async () => work(transaction);
    const outcome = await outcomeWithin(begin(), maxTransactionMs, clock);
    open.delete(transaction);
    assertNotLost();
    if ("thrown" in outcome) database.write("rollback to member");
    database.write("release member");
    return outcome;
  };

  return {
    async run(work, options) {
      const { transaction } = options ?? {};
      if (transaction !== undefined) return within(transaction, work);
      if (isClosed) throw storeClosed();
      return enqueue(() => perform(work));
    },
    async read(work, options) {
      const { transaction } = options ?? {};
      if (transaction !== undefined) return within(transaction, work);
      if (isClosed) throw storeClosed();
      if (isGroupOpen) return enqueue(() => perform(work));
      try {
        return work();
      } catch (cause) {
        throw databaseError(cause);
      }
    },
    async transaction(work) {
      if (isClosed) throw storeClosed();
      const committed: (() => void)[] = [];
      const rolledBack: (() => void)[] = [];
      // Each callback runs in its own microtask, so that an exception of one does not stop the
      // others.
      const callEach = (callbacks: readonly (() => void)[]) => callbacks.forEach(queueMicrotask);
      try {
        return await enqueue(
          () => performTransaction(work, committed, rolledBack),
          () => callEach(committed),
        );
      } catch (cause) {
        callEach(rolledBack);
        throw cause;
      }
    },
    async close() {
      isClosed = true;
      await pumping;
    },
  };
}

/**
 * The error of a member whose own part went well, but whose group failed: UNAVAILABLE, as another
 * try may succeed, unless the cause says more.
 */
function groupError(cause: unknown): ConnectError {
  const error = databaseError(cause);
  const saysMore = error.code === Code.DataLoss || error.code === Code.ResourceExhausted;
  return saysMore ? error : databaseUnavailable(cause);
}

/** Resolves with the outcome of a promise within this time. A later outcome is ignored. */
function outcomeWithin<T>(
  promise: Promise<T>,
  maxTransactionMs: number,
  clock: Clock,
): Promise<Outcome<T>> {
  return new Promise((resolve) => {
    const unschedule = clock.schedule(maxTransactionMs, () =>
      resolve({ thrown: transactionTimedOut(maxTransactionMs) }),
    );
    promise.then(
      (value) => {
        unschedule();
        resolve({ value });
      },
      (thrown: unknown) => {
        unschedule();
        resolve({ thrown });
      },
    );
  });
}
