import { Code, ConnectError } from "@connectrpc/connect";
import { inRange, longestMs } from "../../internal/option-bounds.js";
import { parseOperationName } from "../../operation/name.js";
import type { Delivery, Dispatcher, Settlement } from "../dispatcher.js";
import { shardUnreachable } from "../errors.js";
import type { CountingStore } from "../operation-counts.js";
import type {
  ListPage,
  ListQuery,
  OperationStore,
  Overdue,
  OverdueResults,
  StoreOptions,
  UnfinishedQuery,
} from "../operation-store.js";
import type { Signals } from "../signals.js";
import { mergePages } from "./merge-pages.js";
import { createShardTransactions } from "./shard-transaction.js";

/** A store with its dispatcher and its signals: one shard, or several that act as one. */
export interface ShardParts<Store extends OperationStore = OperationStore> {
  readonly store: Store;
  readonly dispatcher: Dispatcher;
  readonly signals: Signals;
}

/** How operations are distributed over shards. */
export interface ShardsOptions {
  /**
   * Returns the number of the shard of a parent, from 0. It must return the same number for the same
   * parent in every process and for as long as operations of the parent exist. Default: a hash of
   * the parent.
   */
  shardOf?: ((parent: string) => number) | undefined;
  /**
   * Returns the name of a shard for `unreachable` of ListOperations, such as `locations/eu`. Default:
   * `shards/` and its number.
   */
  place?: ((shard: number) => string) | undefined;
  /**
   * How long a call to all shards waits for each of them, in milliseconds, 1 to 2^31 - 1. A shard
   * that has not answered by then counts as away. Default: 5000.
   */
  awayAfterMs?: number | undefined;
}

/** How many parents `shardOf` is tried with at the start. */
const trials = 1000;

/**
 * Creates a store, a dispatcher and signals over several shards, for `createOperations`. All
 * operations of one parent are in one shard. Lists of one parent ask that shard; lists with `-` in
 * their name ask all shards and merge their pages.
 *
 * A transaction belongs to the first shard that it reaches, and is refused by the others. Operations
 * of one resource key run one at a time only if their parents are in one shard.
 *
 * @throws RangeError if there is no shard, or if `shardOf` returns different numbers for one parent
 *   or a number that is not one of a shard.
 * @example
 * const east = await connectPostgres({ connectionString: "postgres://east/app" });
 * const west = await connectPostgres({ connectionString: "postgres://west/app" });
 * const operations = createOperations({ ...createShards([east, west]), pageTokenKey });
 */
export function createShards(
  parts: readonly ShardParts<CountingStore>[],
  options?: ShardsOptions,
): ShardParts<CountingStore>;
export function createShards(parts: readonly ShardParts[], options?: ShardsOptions): ShardParts;
export function createShards(
  parts: readonly ShardParts[],
  options: ShardsOptions = {},
): ShardParts {
  if (parts.length === 0) throw new RangeError("parts must have at least one shard");
  const awayAfterMs = inRange("awayAfterMs", options.awayAfterMs ?? 5000, 1, longestMs);
  const place = options.place ?? ((shard: number) => `shards/${shard}`);
  const shardOf = checkedShardOf(options.shardOf ?? hashOf(parts.length), parts.length);
  const stores = parts.map(({ store }) => store);
  const transactions = createShardTransactions(stores);
  const isDurable = stores.every((store) => store.isDurable !== false);

  const partOf = (parent: string) => {
    const shard = shardOf(parent);
    const part = parts[shard];
    if (part === undefined) throw new RangeError(`shardOf returned ${shard} for "${parent}"`);
    return { shard, ...part };
  };
  /** Runs a call in the shard of a parent, with the transaction of that shard. */
  const within = async <O extends StoreOptions, T>(
    parent: string,
    given: O | undefined,
    call: (part: ShardParts, options: O | undefined) => Promise<T>,
  ): Promise<T> => {
    const part = partOf(parent);
    return call(part, await transactions.optionsFor(part.shard, given));
  };
  const byName = <O extends StoreOptions, T>(
    name: string,
    given: O | undefined,
    call: (part: ShardParts, options: O | undefined) => Promise<T>,
  ) => within(parentOf(name), given, call);

  /**
   * Returns the results of the shards that are not away. Rejects if all are, or for another reason.
   * A shard that does not answer in time counts as away.
   *
   * @param inTurn Decides when each call begins. Default: all begin at once.
   */
  const ofReachable = async <T>(
    call: (part: ShardParts, shard: number) => Promise<T>,
    inTurn: <R>(begin: () => Promise<R>) => Promise<R> = (begin) => begin(),
  ) => {
    const outcomes = await Promise.allSettled(
      parts.map((part, shard) =>
        inTurn(() => inTime(call(part, shard), awayAfterMs, () => shardUnreachable(place(shard)))),
      ),
    );
    const reached = outcomes.flatMap((outcome, shard) => {
      if (outcome.status === "fulfilled") return [{ shard, value: outcome.value }];
      if (!isAway(outcome.reason)) throw outcome.reason;
      return [];
    });
    const [first] = outcomes;
    if (reached.length === 0 && first?.status === "rejected") throw first.reason;
    return {
      reached,
      away: outcomes.flatMap(({ status }, at) => (status === "rejected" ? [at] : [])),
    };
  };

  const listAll = async (query: ListQuery, given: StoreOptions | undefined): Promise<ListPage> => {
    const { reached, away } = await ofReachable(async ({ store }, shard) =>
      store.list(query, await transactions.optionsFor(shard, given)),
    );
    const [missing] = away;
    if (missing !== undefined && query.isPartial !== true) throw shardUnreachable(place(missing));
    const page = mergePages(
      reached.map(({ value }) => value),
      "descending",
      query,
    );
    return away.length === 0 ? page : { ...page, unreachable: away.map(place) };
  };

  const unfinished = async (query: UnfinishedQuery, given: StoreOptions | undefined) => {
    const { reached } = await ofReachable(async ({ store }, shard) =>
      store.unfinished(query, await transactions.optionsFor(shard, given)),
    );
    return mergePages(
      reached.map(({ value }) => value),
      "ascending",
      query,
    );
  };

  const endOverdueInAll = async (results: OverdueResults, limit: number): Promise<Overdue> => {
    let left = limit;
    const { reached } = await ofReachable(async ({ store }) => {
      const overdue = await store.endOverdue(results, left);
      left -= overdue.ended.length;
      return overdue;
    }, oneByOne());
    const deadlines = reached.flatMap(({ value }) => value.nextDeadlineMicros ?? []);
    return {
      ended: reached.flatMap(({ value }) => value.ended),
      nextDeadlineMicros: deadlines.length === 0 ? undefined : Math.min(...deadlines),
    };
  };

  /**
   * Ends overdue operations. A transaction belongs to one shard: it is the one with the earliest
   * deadline, and the deadlines of the others are part of `nextDeadlineMicros`.
   */
  const endOverdue = async (
    results: OverdueResults,
    limit: number,
    given: StoreOptions | undefined,
  ): Promise<Overdue> => {
    if (given?.transaction === undefined) return endOverdueInAll(results, limit);
    const { reached } = await ofReachable(({ store }) => store.endOverdue(results, 0));
    const deadlineOf = ({ value }: { value: Overdue }) =>
      value.nextDeadlineMicros ?? Number.POSITIVE_INFINITY;
    const [first, ...others] = reached.toSorted(
      (one, other) => deadlineOf(one) - deadlineOf(other),
    );
    if (first === undefined) return { ended: [], nextDeadlineMicros: undefined };
    const shard = transactions.shardOf(given?.transaction) ?? first.shard;
    const own = await transactions.optionsFor(shard, given);
    const overdue = await parts[shard]?.store.endOverdue(results, limit, own);
    const next = Math.min(
      overdue?.nextDeadlineMicros ?? Number.POSITIVE_INFINITY,
      ...[first, ...others].filter((each) => each.shard !== shard).map(deadlineOf),
    );
    return {
      ended: overdue?.ended ?? [],
      nextDeadlineMicros: next === Number.POSITIVE_INFINITY ? undefined : next,
    };
  };

  const unblock = async (resourceKey: string, given: StoreOptions | undefined) => {
    const bound = transactions.shardOf(given?.transaction);
    for (const [shard, { store }] of parts.entries()) {
      if (bound !== undefined && bound !== shard) continue;
      const own = await transactions.optionsFor(shard, given);
      const next = await store.unblock(resourceKey, own);
      if (next !== undefined) return next;
    }
    return undefined;
  };

  const insertTogether = stores.every((store) => store.insertTogether !== undefined)
    ? { insertTogether: groupedInsert }
    : {};
  function groupedInsert(
    ...[operation, together]: Parameters<NonNullable<OperationStore["insertTogether"]>>
  ) {
    const { store, shard } = partOf(operation.parent);
    const bound: typeof together = (records, transaction) => {
      transactions.bind(transaction, shard);
      return together(records, transaction);
    };
    return store.insertTogether?.(operation, bound) ?? store.insert(operation);
  }

  const store: OperationStore = {
    isDurable,
    shardCount: parts.length,
    transaction: (work) => (isDurable ? transactions.run(work) : work(undefined)),
    ...insertTogether,
    insert: (operation, given) =>
      within(operation.parent, given, (part, own) => part.store.insert(operation, own)),
    check: (operation, given) =>
      within(operation.parent, given, (part, own) => part.store.check(operation, own)),
    get: (name, given) => byName(name, given, (part, own) => part.store.get(name, own)),
    claim: (name, given) => byName(name, given, (part, own) => part.store.claim(name, own)),
    report: (claim, report, given) =>
      byName(claim.name, given, (part, own) => part.store.report(claim, report, own)),
    look: (claim, given) => byName(claim.name, given, (part, own) => part.store.look(claim, own)),
    release: (claim, handover, whenCancelled, given) =>
      byName(claim.name, given, (part, own) =>
        part.store.release(claim, handover, whenCancelled, own),
      ),
    finish: (claim, result, report, given) =>
      byName(claim.name, given, (part, own) => part.store.finish(claim, result, report, own)),
    requestCancel: (name, whenQueued, given) =>
      byName(name, given, (part, own) => part.store.requestCancel(name, whenQueued, own)),
    hide: (name, given) => byName(name, given, (part, own) => part.store.hide(name, own)),
    unblock,
    endOverdue,
    list: (query, given) =>
      query.parent.split("/").includes("-")
        ? listAll(query, given)
        : within(query.parent, given, (part, own) => part.store.list(query, own)),
    unfinished,
    async expire(limit) {
      let left = limit;
      await ofReachable(async (part) => {
        if (left > 0) left -= await part.store.expire(left);
      }, oneByOne());
      return limit - left;
    },
    async close() {
      await Promise.all(stores.map((each) => each.close()));
    },
  };
  const counting = stores.every(isCounting)
    ? Object.assign(store, { counts: countsOf(stores) })
    : store;
  return { store: counting, dispatcher: shardedDispatcher(), signals: shardedSignals() };

  function shardedDispatcher(): Dispatcher {
    const dispatchers = parts.map(({ dispatcher }) => dispatcher);
    const places = dispatchers.every(({ reserve }) => reserve !== undefined);
    const queues = dispatchers.some(({ queued }) => queued !== undefined);
    const intervals = dispatchers.flatMap(({ redispatchMs }) => redispatchMs ?? []);
    return {
      isDurable: dispatchers.every((dispatcher) => dispatcher.isDurable),
      redispatchMs: intervals.length === 0 ? undefined : Math.min(...intervals),
      async prepare(method) {
        await ofReachable(async ({ dispatcher }) => dispatcher.prepare?.(method));
      },
      async dispatch(operations, given) {
        const shards = grouped(operations, ({ name }) => partOf(parentOf(name)).shard);
        for (const [shard, group] of shards) {
          const own = await transactions.optionsFor(shard, given);
          await parts[shard]?.dispatcher.dispatch(group, own);
        }
      },
      serve(method, run, given) {
        const bounded = boundedRuns(run, given?.maxConcurrent);
        for (const dispatcher of dispatchers) dispatcher.serve(method, bounded, given);
      },
      ...(places && {
        reserve: (operation) => partOf(parentOf(operation.name)).dispatcher.reserve?.(operation),
      }),
      ...(queues && {
        queued: () => dispatchers.reduce((sum, { queued }) => sum + (queued?.() ?? 0), 0),
      }),
      async stop(given) {
        await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop(given)));
      },
      abandon() {
        for (const dispatcher of dispatchers) dispatcher.abandon?.();
      },
    };
  }

  function shardedSignals(): Signals {
    const intervals = parts.flatMap(({ signals }) => signals.pollIntervalMs ?? []);
    return {
      pollIntervalMs: intervals.length === 0 ? undefined : Math.min(...intervals),
      subscribe: (name, listener) => partOf(parentOf(name)).signals.subscribe(name, listener),
      publish: (name, kind, given) =>
        byName(name, given, ({ signals }, own) => signals.publish(name, kind, own)),
      async close() {
        await Promise.all(parts.map(({ signals }) => signals.close()));
      },
    };
  }
}

/** Returns the parent of a name; empty if the text is not the name of an operation. */
function parentOf(name: string): string {
  return parseOperationName(name)?.parent ?? "";
}

/** Wraps `shardOf` so that a number that is not one of a shard is a RangeError. */
function checkedShardOf(shardOf: (parent: string) => number, count: number) {
  const checked = (parent: string): number => {
    const shard = shardOf(parent);
    if (Number.isInteger(shard) && shard >= 0 && shard < count) return shard;
    throw new RangeError(`shardOf must return 0 to ${count - 1}, not ${shard} (for "${parent}")`);
  };
  for (let trial = 0; trial < trials; trial += 1) {
    // The value is not random, because Workers refuse random values outside of a request.
    const parent = trial === 0 ? "" : `projects/${trial}`;
    const first = checked(parent);
    if (checked(parent) !== first) {
      throw new RangeError(`shardOf must return one number for each parent (for "${parent}")`);
    }
  }
  return checked;
}

const utf8 = new TextEncoder();

/** FNV-1a of the parent's UTF-8. It must never change, as it decides where operations are. */
function hashOf(count: number): (parent: string) => number {
  return (parent) => {
    let hash = 0x811c9dc5;
    for (const byte of utf8.encode(parent)) hash = Math.imul(hash ^ byte, 0x01000193);
    return (hash >>> 0) % count;
  };
}

function isAway(cause: unknown): boolean {
  const away = [Code.Unavailable, Code.DeadlineExceeded];
  return cause instanceof ConnectError && away.includes(cause.code);
}

/** Rejects with an error if the promise is not settled in time. */
async function inTime<T>(
  promise: Promise<T>,
  timeoutMs: number,
  late: () => ConnectError,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const time = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), timeoutMs);
  });
  try {
    return await Promise.race([promise, time]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs at most this many deliveries at the same time, whichever shard they come from. */
function boundedRuns(
  run: (delivery: Delivery) => Promise<Settlement>,
  maxConcurrent = Number.POSITIVE_INFINITY,
): (delivery: Delivery) => Promise<Settlement> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (delivery) => {
    if (running >= maxConcurrent) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await run(delivery);
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

function isCounting(store: OperationStore): store is CountingStore {
  return "counts" in store;
}

function countsOf(stores: readonly OperationStore[]): CountingStore["counts"] {
  return async () => {
    const all = await Promise.all(stores.filter(isCounting).map((store) => store.counts()));
    const open = new Map<string, OpenCount>();
    const lost = new Map<string, number>();
    for (const counts of all) {
      for (const count of counts.open) {
        const key = `${count.method} ${count.state}`;
        const { operations = 0, oldestTimeMicros = Number.POSITIVE_INFINITY } = open.get(key) ?? {};
        open.set(key, {
          ...count,
          operations: operations + count.operations,
          oldestTimeMicros: Math.min(oldestTimeMicros, count.oldestTimeMicros),
        });
      }
      for (const { method, attempts } of counts.lost) {
        lost.set(method, (lost.get(method) ?? 0) + attempts);
      }
    }
    return {
      open: [...open.values()],
      lost: [...lost].map(([method, attempts]) => ({ method, attempts })),
    };
  };
}

type OpenCount = Awaited<ReturnType<CountingStore["counts"]>>["open"][number];

/** Runs calls one after the other, for shards that share a limit. A call that fails stops no other. */
function oneByOne(): <T>(call: () => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return (call) => {
    const result = turn.then(call);
    turn = result.catch(() => undefined);
    return result;
  };
}

function grouped<T>(values: readonly T[], keyOf: (value: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    groups.set(key, [...(groups.get(key) ?? []), value]);
  }
  return groups;
}
