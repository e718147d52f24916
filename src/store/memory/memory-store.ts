import { type Clock, systemClock } from "../../internal/clock.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import { yieldToEventLoop } from "../../internal/yield-to-event-loop.js";
import { storeClosed, storeFull, transactionUnsupported } from "../errors.js";
import type {
  Claim,
  InsertOptions,
  InsertOutcome,
  ListPage,
  NewOperation,
  OperationRecord,
  OperationStore,
  Overdue,
  OverdueResults,
  Report,
  StoredRequestId,
  StoreOptions,
  UnfinishedQuery,
} from "../operation-store.js";
import {
  cancelRequested,
  checkInsert,
  claimed,
  type EarlierStart,
  endedOverdue,
  finished,
  hidden,
  type InsertLookups,
  isHeldBy,
  planInsert,
  type RecordChanges,
  type RecordHead,
  released,
  reported,
  unblocked,
} from "../record-transitions.js";
import { createStoreTime } from "../store-time.js";
import type { Walk } from "./ordered-ids.js";
import { createParentNames } from "./parent-names.js";
import { createRecordIndexes } from "./record-indexes.js";
import { createRecordList } from "./record-list.js";
import { createRecordRows, requestKeyOf } from "./record-rows.js";
import { createShardedMap } from "./sharded-map.js";

/** Limits and clock of a memory store. */
export interface MemoryStoreOptions {
  /**
   * Maximum number of operations, at least 1, including removed ones whose request id is still
   * remembered. A start beyond it is refused with RESOURCE_EXHAUSTED. Default: 100,000.
   */
  maxOperations?: number | undefined;
  /**
   * Maximum number of bytes, at least 1: requests, metadata, checkpoints, results, names and
   * request ids, rounded up to their cells, and 256 for each operation. A start or a report beyond
   * it is refused with RESOURCE_EXHAUSTED. The end of an operation and its last report are always
   * stored, so that the store may exceed the bound by them. Default: 512 MiB.
   */
  maxBytes?: number | undefined;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** How many records a start that meets a full store clears away at most, if it can. */
const maxExpiredWhenFull = 1000;

/**
 * Creates a store in this process's memory. All records are lost when the process ends.
 *
 * @throws RangeError if a bound is not a whole number of at least 1.
 * @example
 * const operations = createOperations({ store: createMemoryStore({ maxOperations: 1000 }) });
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): OperationStore {
  const maxOperations = atLeastOne("maxOperations", options.maxOperations ?? 100_000);
  const maxBytes = atLeastOne("maxBytes", options.maxBytes ?? 512 * 1024 * 1024);
  const clock = options.clock ?? systemClock;
  const parents = createParentNames();
  const rows = createRecordRows(parents);
  const indexes = createRecordIndexes(rows);
  /** The rows of all records and tombstones. */
  const rowByName = createShardedMap<number>();
  /** The row of each request id, while its record exists or its window lasts. */
  const rowByRequestKey = createShardedMap<number>();
  const time = createStoreTime(clock);
  let closed = false;

  const isVisible = (row: number) => rows.isVisibleAt(row, time.now());

  /** Returns the row of a record, including hidden ones. */
  const recordRow = (name: string) => {
    const row = rowByName.get(name);
    return row !== undefined && !rows.isTombstone(row) ? row : undefined;
  };

  const visibleRow = (name: string) => {
    const row = rowByName.get(name);
    return row !== undefined && isVisible(row) ? row : undefined;
  };

  /** The row that a claim may write to. */
  const claimedRow = (claim: Claim) => {
    const row = recordRow(claim.name);
    return row !== undefined && isHeldBy(rows.headOf(row), claim.attempt) ? row : undefined;
  };

  /** Changes a row by a rule; returns undefined if there is no row or the rule refuses. */
  const change = (
    row: number | undefined,
    rule: (head: RecordHead, nowMicros: number) => RecordChanges | undefined,
  ): OperationRecord | undefined => {
    if (row === undefined) return undefined;
    const changes = rule(rows.headOf(row), time.next());
    if (changes === undefined) return undefined;
    indexes.change(row, changes);
    return rows.read(row);
  };

  /** Changes a row by a rule that never refuses. */
  const end = (row: number, rule: (head: RecordHead, nowMicros: number) => RecordChanges) => {
    indexes.change(row, rule(rows.headOf(row), time.next()));
    return rows.read(row);
  };

  const list = createRecordList({ rows, indexes, parents, nowMicros: time.now });

  const forget = (row: number) => {
    const requestKey = rows.requestKeyOf(row);
    rowByName.delete(rows.nameOf(row));
    // After its retention, the request id may belong to a newer operation.
    if (requestKey !== undefined && rowByRequestKey.get(requestKey) === row) {
      rowByRequestKey.delete(requestKey);
    }
    indexes.free(row);
  };

  const isDue = (row: number) =>
    (rows.removalTimeOf(row) ?? Number.POSITIVE_INFINITY) <= time.now();

  /** Remove a record whose time has come; its request id stays known for its window (AIP-155). */
  const remove = (row: number) => {
    if (isRemembered(row)) indexes.makeTombstone(row);
    else forget(row);
  };

  const isRemembered = (row: number) =>
    rows.requestKeyOf(row) !== undefined && rows.requestIdEndOf(row) > time.now();

  const expire = (limit: number) => {
    for (let gone = 0; gone < limit; gone += 1) {
      const row = indexes.byRemoval.first();
      if (row === undefined || !isDue(row)) return gone;
      remove(row);
    }
    return limit;
  };

  /** Whether a record has the name, or one had it whose request id is still remembered. */
  const isTaken = (name: string) => {
    const row = rowByName.get(name);
    if (row !== undefined && isDue(row) && !isRemembered(row)) forget(row);
    return rowByName.has(name);
  };

  const findStarted = (requestId: StoredRequestId): EarlierStart | undefined => {
    const row = rowByRequestKey.get(requestKeyOf(requestId));
    if (row === undefined) return undefined;
    if (isVisible(row)) return { kind: "duplicate", record: rows.read(row) };
    if (!isDue(row) || rows.requestIdEndOf(row) > time.now()) {
      return { kind: "spent", name: rows.nameOf(row) };
    }
    forget(row);
    return undefined;
  };

  /** Returns the error if this number of bytes and rows does not fit. */
  const refusalOf = (bytes: number, more: number) => {
    const isTooMany = () => rows.count() + more > maxOperations;
    const isTooMuch = () => bytes > 0 && rows.heldBytes() + bytes > maxBytes;
    if (isTooMany() || isTooMuch()) expire(maxExpiredWhenFull);
    if (isTooMany()) return storeFull({ maxOperations });
    return isTooMuch() ? storeFull({ maxBytes }) : undefined;
  };

  /** The operations of a resource that are not done, oldest first. */
  const openOfResource = (resourceKey: string | undefined): Walk => {
    const resource = resourceKey === undefined ? undefined : rows.resources.idOf(resourceKey);
    if (resource === undefined) return () => undefined;
    const place = (row: number) => (rows.resourceOf(row) ?? 0) - resource;
    const walk = indexes.byResource.ascendFrom(place);
    return () => {
      const row = walk();
      return row !== undefined && place(row) === 0 ? row : undefined;
    };
  };

  const lookupsFor = (operation: NewOperation): InsertLookups => ({
    findStarted,
    isTaken,
    oldestOf: (key) => nameOf(openOfResource(key)()),
    refusal: () => refusalOf(rows.bytesOf(operation), 1),
  });

  const insert = (operation: NewOperation, given: InsertOptions): InsertOutcome => {
    const { name, requestId, resourceKey } = operation;
    const plan = planInsert(operation, given, lookupsFor(operation));
    if (plan.kind !== "insert") return plan;
    if (isTaken(name)) return { kind: "name-taken" };
    if (plan.state === "queued") given.beforeQueued?.();
    const { preempts } = plan;
    const preempted =
      preempts === undefined
        ? []
        : allOf(openOfResource(resourceKey)).map((other) =>
            end(other, (head, now) => finished(head, now, preempts)),
          );
    const row = rows.add(operation, plan.state, time.next());
    indexes.add(row);
    rowByName.set(name, row);
    if (requestId) rowByRequestKey.set(requestKeyOf(requestId), row);
    return { kind: "inserted", record: rows.read(row), preempted };
  };

  const report = (claim: Claim, given: Report) => {
    const before = claimedRow(claim);
    if (before === undefined) return undefined;
    const refusal = refusalOf(rows.growthOf(before, given), 0);
    if (refusal !== undefined) throw refusal;
    // The row is read again, because making room may have removed a deleted external operation.
    return change(claimedRow(claim), (_, now) => reported(given, now));
  };

  const unfinished = ({ after, limit }: UnfinishedQuery): ListPage => {
    const found: OperationRecord[] = [];
    const walk = indexes.workable.ascendFrom((row) => {
      if (after === undefined) return 1;
      const difference = rows.createTimeOf(row) - after.createTimeMicros;
      return difference || (rows.nameOf(row) <= after.name ? -1 : 1);
    });
    for (let row = walk(); row !== undefined; row = walk()) {
      if (found.length === limit) return { records: found, next: found.at(-1) };
      found.push(rows.read(row));
    }
    return { records: found, next: undefined };
  };

  const endOverdue = (results: OverdueResults, limit: number): Overdue => {
    const now = time.now();
    const ended: OperationRecord[] = [];
    for (;;) {
      const row = indexes.byDeadline.first();
      const nextDeadlineMicros = row === undefined ? undefined : rows.deadlineTimeOf(row);
      if (row === undefined || nextDeadlineMicros === undefined)
        return { ended, nextDeadlineMicros };
      if (nextDeadlineMicros > now || ended.length >= limit) return { ended, nextDeadlineMicros };
      ended.push(end(row, (head, stamp) => endedOverdue(head, stamp, results)));
    }
  };

  const nameOf = (row: number | undefined) => (row === undefined ? undefined : rows.nameOf(row));
  const read = (row: number | undefined) => (row === undefined ? undefined : rows.read(row));

  const assertUsable = (given: StoreOptions | undefined) => {
    if (closed) throw storeClosed();
    if (given?.transaction !== undefined) throw transactionUnsupported("memory store");
  };

  return {
    isDurable: false,
    transaction: (work) => work(undefined),
    insert: async (operation, given) => {
      assertUsable(given);
      return insert(operation, given ?? {});
    },
    check: async (operation, given) => {
      assertUsable(given);
      return checkInsert(operation, given ?? {}, lookupsFor(operation));
    },
    get: async (name, given) => {
      assertUsable(given);
      return read(given?.evenHidden ? recordRow(name) : visibleRow(name));
    },
    claim: async (name, given) => {
      assertUsable(given);
      return change(recordRow(name), (head, now) => claimed(head, now, given));
    },
    report: async (claim, given, storeOptions) => {
      assertUsable(storeOptions);
      return report(claim, given);
    },
    look: async (claim, given) => {
      assertUsable(given);
      return read(claimedRow(claim));
    },
    release: async (claim, handover, whenCancelled, given) => {
      assertUsable(given);
      return change(claimedRow(claim), (head, now) => released(head, now, handover, whenCancelled));
    },
    finish: async (claim, result, last, given) => {
      assertUsable(given);
      return change(claimedRow(claim), (head, now) => finished(head, now, result, last));
    },
    requestCancel: async (name, whenQueued, given) => {
      assertUsable(given);
      const graceMs = given?.graceMs;
      return change(visibleRow(name), (head, now) =>
        cancelRequested(head, now, whenQueued, graceMs),
      );
    },
    hide: async (name, given) => {
      assertUsable(given);
      const onlyDone = given?.onlyDone === true;
      return change(visibleRow(name), (head, now) => hidden(head, now, onlyDone));
    },
    unblock: async (resourceKey, given) => {
      assertUsable(given);
      return change(openOfResource(resourceKey)(), unblocked);
    },
    endOverdue: async (results, limit, given) => {
      assertUsable(given);
      const overdue = endOverdue(results, limit);
      // The caller repeats the call at once, so other work gets an event-loop iteration in between.
      if (overdue.ended.length === limit) await yieldToEventLoop();
      return overdue;
    },
    list: async (query, given) => {
      assertUsable(given);
      return list(query);
    },
    unfinished: async (query, given) => {
      assertUsable(given);
      return unfinished(query);
    },
    expire: async (limit, given) => {
      assertUsable(given);
      const gone = expire(limit);
      // Other work gets an event-loop iteration in between.
      if (gone === limit) await yieldToEventLoop();
      return gone;
    },
    close: async () => {
      closed = true;
      rowByName.clear();
      rowByRequestKey.clear();
    },
  };
}

function allOf(walk: Walk): number[] {
  const all: number[] = [];
  for (let row = walk(); row !== undefined; row = walk()) all.push(row);
  return all;
}
