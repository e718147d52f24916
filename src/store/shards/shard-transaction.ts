import { notifySafely } from "../../internal/notify-safely.js";
import { shardUnknown, transactionSpansShards, transactionUnsupported } from "../errors.js";
import type { OperationStore, StoreOptions, Transaction } from "../operation-store.js";

/** Transactions over several stores, each of which opens in the first store that uses it. */
export interface ShardTransactions {
  /** Runs `work` in a transaction of the first shard that a call of `work` reaches. */
  run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /**
   * Returns the options for a call to a shard, with the transaction of that shard.
   *
   * @throws ConnectError FAILED_PRECONDITION, `TRANSACTION_SPANS_SHARDS`, if another shard has it.
   */
  optionsFor<O extends StoreOptions>(shard: number, options: O | undefined): Promise<O | undefined>;
  /** Notes that a transaction, which a shard began itself, belongs to that shard. */
  bind(transaction: Transaction, shard: number): void;
  /** Returns the shard that has the transaction; undefined if no shard has it. */
  shardOf(transaction: Transaction | undefined): number | undefined;
}

/** A transaction that is open in one shard at most. */
interface Binding {
  shard: number | undefined;
  open(shard: number): Promise<Transaction>;
}

export function createShardTransactions(stores: readonly OperationStore[]): ShardTransactions {
  const bindings = new WeakMap<Transaction, Binding>();
  const bind = (transaction: Transaction, shard: number): Binding => {
    const binding: Binding = {
      shard,
      async open(asked) {
        if (asked !== shard) throw transactionSpansShards();
        return transaction;
      },
    };
    bindings.set(transaction, binding);
    return binding;
  };
  return {
    async run(work) {
      let inner: Promise<Transaction> | undefined;
      let committed: Promise<void> | undefined;
      let end: { resolve(): void; reject(cause: unknown): void } | undefined;
      const ended = new Promise<void>((resolve, reject) => {
        end = { resolve, reject };
      });
      // The transaction of the shard handles the rejection, if there is one.
      ended.catch(() => undefined);
      const binding: Binding = {
        shard: undefined,
        open(shard) {
          binding.shard ??= shard;
          if (binding.shard !== shard) throw transactionSpansShards();
          inner ??= new Promise((resolve, reject) => {
            committed = stores[shard]?.transaction((own) => {
              if (own === undefined) reject(transactionUnsupported("store of the shard"));
              else resolve(own);
              return ended;
            });
            committed?.catch(reject);
          });
          return inner;
        },
      };
      const afterCommit: (() => void)[] = [];
      const afterRollback: (() => void)[] = [];
      const transaction: Transaction = {
        async executeSql(text, values) {
          if (inner === undefined) throw shardUnknown();
          return (await inner).executeSql(text, values);
        },
        afterCommit: (callback) => afterCommit.push(callback),
        afterRollback: (callback) => afterRollback.push(callback),
      };
      bindings.set(transaction, binding);
      const callEach = (callbacks: readonly (() => void)[]) => {
        for (const callback of callbacks) notifySafely(callback, (call) => call());
      };
      try {
        const value = await work(transaction);
        end?.resolve();
        await committed;
        callEach(afterCommit);
        return value;
      } catch (cause) {
        end?.reject(cause);
        await committed?.catch(() => undefined);
        callEach(afterRollback);
        throw cause;
      }
    },
    async optionsFor(shard, options) {
      const transaction = options?.transaction;
      if (options === undefined || transaction === undefined) return options;
      // If a transaction was begun outside of the shards, it belongs to the first shard that it
      // reaches.
      const binding = bindings.get(transaction) ?? bind(transaction, shard);
      return { ...options, transaction: await binding.open(shard) };
    },
    bind,
    shardOf: (transaction) => transaction && bindings.get(transaction)?.shard,
  };
}
