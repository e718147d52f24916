import { type Clock, systemClock } from "../../internal/clock.js";
import { nextTurn } from "../../internal/next-turn.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import { storeClosed, storeFull, transactionUnsupported } from "../errors.js";
import type {
  CancelOptions,
  Claim,
  ClaimOptions,
  HideOptions,
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
  StoredResult,
  StoreOptions,
  UnfinishedQuery,
} from "../operation-store.js";
import type { Walk } from "./ordered-ids.js";
import { createParentNames } from "./parent-names.js";
import { createRecordIndexes } from "./record-indexes.js";
import { createRecordList } from "./record-list.js";
import { createRecordRows, type RowChanges, requestKeyOf, timeAfter } from "./record-rows.js";
import { createShardedMap } from "./sharded-map.js";

/** How a memory store is bounded and what time it goes by. */
export interface MemoryStoreOptions {
  /**
   * How many operations it keeps at most, at least 1, deleted ones whose request
   * id is still remembered among them; a start beyond that is refused with
   * RESOURCE_EXHAUSTED. Default: 100,000.
   */
  maxOperations?: number | undefined;
  /**
   * How many bytes it keeps at most, at least 1: requests, metadata, checkpoints, results,
   * names and request ids, rounded up to what they take, and 256 for each operation. A
   * start or a report beyond that is refused with RESOURCE_EXHAUSTED. What ends an
   * operation never is, with the last report, so that it may be exceeded by as much as
   * the operations under way still bring. Default: 512 MiB.
   */
  maxBytes?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** How many records a start that meets a full store clears away at most, if it can. */
const maxExpiredWhenFull = 1000;

/**
 * A store in this process's memory: everything is gone when the process ends.
 *
 * @throws RangeError if a bound is not a whole number of at least 1.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): OperationStore {
  const maxOperations = atLeastOne("maxOperations", options.maxOperations ?? 100_000);
  const maxBytes = atLeastOne("maxBytes", options.maxBytes ?? 512 * 1024 * 1024);
  const clock = options.clock ?? systemClock;
  const parents = createParentNames();
  const rows = createRecordRows(parents);
  const indexes = createRecordIndexes(rows);
  /** Of all records and tombstones. */
  const rowByName = createShardedMap<number>();
  /** What each request id led to, for its record's and its window's time. */
  const rowByRequestKey = createShardedMap<number>();
  let lastMicros = 0;
  let closed = false;

  /** The store's own time: it does not go back, and is never behind what it stamped last. */
  const nowMicros = () => Math.max(lastMicros, Math.round(clock.nowMs() * 1000));
  /** A stamp: strictly growing, so that no two records share a create time. */
  const nextMicros = () => {
    lastMicros = Math.max(lastMicros + 1, nowMicros());
    return lastMicros;
  };

  const isVisible = (row: number) => rows.isVisibleAt(row, nowMicros());

  /** The row of a record, also of a hidden one. */
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
    if (row === undefined || rows.stateOf(row) !== "running") return undefined;
    return rows.attemptOf(row) === claim.attempt ? row : undefined;
  };

  const change = (row: number, changes: RowChanges): OperationRecord => {
    indexes.change(row, { updateTimeMicros: nextMicros(), ...changes });
    return rows.read(row);
  };

  const list = createRecordList({ rows, indexes, parents, nowMicros });

  const forget = (row: number) => {
    const requestKey = rows.requestKeyOf(row);
    rowByName.delete(rows.nameOf(row));
    // The id may belong to a newer operation by now: its window was over.
    if (requestKey !== undefined && rowByRequestKey.get(requestKey) === row) {
      rowByRequestKey.delete(requestKey);
    }
    indexes.free(row);
  };

  const expire = (limit: number) => {
    const now = nowMicros();
    for (let gone = 0; gone < limit; gone += 1) {
      const row = indexes.byRemoval.first();
      if (row === undefined || indexes.removalTimeOf(row) > now) return gone;
      // Its request id stays known for the rest of its window (AIP-155).
      if (rows.requestKeyOf(row) !== undefined && rows.requestIdEndOf(row) > now) indexes.bury(row);
      else forget(row);
    }
    return limit;
  };

  /** What a request id led to, also a hidden record or a tombstone. */
  const startedWith = (requestId: StoredRequestId | undefined) => {
    const row = requestId && rowByRequestKey.get(requestKeyOf(requestId));
    if (row === undefined) return undefined;
    return rows.isTombstone(row) && rows.requestIdEndOf(row) <= nowMicros() ? undefined : row;
  };

  /** @throws ConnectError `ResourceExhausted` if so many bytes and rows more are too many. */
  const assertRoomFor = (bytes: number, more: number) => {
    const isTooMany = () => rows.count() + more > maxOperations;
    const isTooMuch = () => bytes > 0 && rows.heldBytes() + bytes > maxBytes;
    if (isTooMany() || isTooMuch()) expire(maxExpiredWhenFull);
    if (isTooMany()) throw storeFull({ maxOperations });
    if (isTooMuch()) throw storeFull({ maxBytes });
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

  const insert = (operation: NewOperation, given: InsertOptions): InsertOutcome => {
    const earlier = startedWith(operation.requestId);
    if (earlier !== undefined) {
      return isVisible(earlier)
        ? { kind: "duplicate", record: rows.read(earlier) }
        : { kind: "spent", name: rows.nameOf(earlier) };
    }
    if (rowByName.has(operation.name)) return { kind: "name-taken" };
    assertRoomFor(rows.bytesOf(operation), 1);
    const parallel = given.parallel ?? { kind: "queue" };
    const resourceKey = operation.result === undefined ? operation.resourceKey : undefined;
    const oldest = openOfResource(resourceKey)();
    if (oldest !== undefined && parallel.kind === "refuse") {
      return { kind: "busy", name: rows.nameOf(oldest) };
    }
    const isBlocked = oldest !== undefined && parallel.kind === "queue";
    const state = stateOf(operation, isBlocked);
    if (state === "queued") given.beforeQueued?.();
    const preempted: OperationRecord[] = [];
    if (parallel.kind === "preempt") {
      const open = allOf(openOfResource(resourceKey));
      for (const row of open) preempted.push(finish(row, parallel.result));
    }
    const row = rows.add(operation, state, nextMicros());
    indexes.add(row);
    rowByName.set(operation.name, row);
    if (operation.requestId) rowByRequestKey.set(requestKeyOf(operation.requestId), row);
    return { kind: "inserted", record: rows.read(row), preempted };
  };

  const finish = (row: number, result: StoredResult, report: Report = {}) =>
    change(row, { ...reported(report), state: "done", checkpoint: undefined, result });

  const report = (claim: Claim, given: Report) => {
    const changes = reported(given);
    const before = claimedRow(claim);
    if (before !== undefined) assertRoomFor(rows.growthOf(before, changes), 0);
    // Looked up again: to make room, a deleted one that is driven from outside may have gone.
    const row = claimedRow(claim);
    return row === undefined ? undefined : change(row, changes);
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

  const requestCancel = (
    name: string,
    whenQueued: StoredResult,
    { graceMs }: CancelOptions,
  ): OperationRecord | undefined => {
    const row = visibleRow(name);
    if (row === undefined) return undefined;
    const state = rows.stateOf(row);
    if (state === "done") return rows.read(row);
    const updateTimeMicros = nextMicros();
    const cancelRequestTimeMicros = rows.cancelRequestTimeOf(row) ?? updateTimeMicros;
    const deadlineTimeMicros = earlier(
      rows.deadlineTimeOf(row),
      timeAfter(cancelRequestTimeMicros, graceMs),
    );
    const asked = change(row, { cancelRequestTimeMicros, deadlineTimeMicros, updateTimeMicros });
    return state === "running" ? asked : finish(row, whenQueued);
  };

  const release = (claim: Claim, handover: boolean, whenCancelled: StoredResult) => {
    const row = claimedRow(claim);
    if (row === undefined || rows.isExternal(row)) return undefined;
    if (rows.cancelRequestTimeOf(row) !== undefined) return finish(row, whenCancelled);
    return change(row, { state: "queued", handovers: rows.handoversOf(row) + (handover ? 1 : 0) });
  };

  const hide = (name: string, { onlyDone }: HideOptions): OperationRecord | undefined => {
    const row = visibleRow(name);
    if (row === undefined) return undefined;
    if (onlyDone && rows.stateOf(row) !== "done") return rows.read(row);
    // The update time of a done record stands still.
    return change(row, {
      deleteTimeMicros: nextMicros(),
      updateTimeMicros: rows.updateTimeOf(row),
    });
  };

  const claim = (name: string, { restartLost }: ClaimOptions): OperationRecord | undefined => {
    const row = recordRow(name);
    if (row === undefined || rows.isExternal(row)) return undefined;
    const state = rows.stateOf(row);
    if (state === "done" || state === "blocked") return undefined;
    const attempt = rows.attemptOf(row) + 1;
    if (state === "queued") return change(row, { state: "running", attempt });
    const losses = rows.lossesOf(row) + 1;
    return change(row, { attempt, losses, ...(restartLost && { checkpoint: undefined }) });
  };

  const unblock = (resourceKey: string): OperationRecord | undefined => {
    const oldest = openOfResource(resourceKey)();
    if (oldest === undefined || rows.stateOf(oldest) !== "blocked") return undefined;
    return change(oldest, { state: "queued" });
  };

  const endOverdue = (results: OverdueResults, limit: number): Overdue => {
    const now = nowMicros();
    const ended: OperationRecord[] = [];
    for (;;) {
      const row = indexes.byDeadline.first();
      const nextDeadlineMicros = row === undefined ? undefined : rows.deadlineTimeOf(row);
      if (row === undefined || nextDeadlineMicros === undefined)
        return { ended, nextDeadlineMicros };
      if (nextDeadlineMicros > now || ended.length >= limit) return { ended, nextDeadlineMicros };
      const isCancelled = rows.cancelRequestTimeOf(row) !== undefined;
      ended.push(finish(row, isCancelled ? results.cancelled : results.deadlineExceeded));
    }
  };

  const read = (row: number | undefined) => (row === undefined ? undefined : rows.read(row));

  const assertUsable = (given: StoreOptions | undefined) => {
    if (closed) throw storeClosed();
    if (given?.transaction !== undefined) throw transactionUnsupported("memory store");
  };

  return {
    transaction: (work) => work(undefined),
    insert: async (operation, given) => {
      assertUsable(given);
      return insert(operation, given ?? {});
    },
    get: async (name, given) => {
      assertUsable(given);
      return read(visibleRow(name));
    },
    claim: async (name, given) => {
      assertUsable(given);
      return claim(name, given ?? {});
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
      return release(claim, handover, whenCancelled);
    },
    finish: async (claim, result, last, given) => {
      assertUsable(given);
      const row = claimedRow(claim);
      return row === undefined ? undefined : finish(row, result, last);
    },
    requestCancel: async (name, whenQueued, given) => {
      assertUsable(given);
      return requestCancel(name, whenQueued, given ?? {});
    },
    hide: async (name, given) => {
      assertUsable(given);
      return hide(name, given ?? {});
    },
    unblock: async (resourceKey, given) => {
      assertUsable(given);
      return unblock(resourceKey);
    },
    endOverdue: async (results, limit, given) => {
      assertUsable(given);
      return endOverdue(results, limit);
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
      // Who asks for more at once lets others have their turn in between.
      if (gone === limit) await nextTurn();
      return gone;
    },
    close: async () => {
      closed = true;
      rowByName.clear();
      rowByRequestKey.clear();
    },
  };
}

function stateOf({ result, external }: NewOperation, isBlocked: boolean) {
  if (result !== undefined) return "done";
  if (external) return "running";
  return isBlocked ? "blocked" : "queued";
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

/** What a report changes: a member that is undefined leaves what is stored as it is. */
function reported({ metadata, checkpoint }: Report): RowChanges {
  return { ...(metadata && { metadata }), ...(checkpoint && { checkpoint }) };
}

function allOf(walk: Walk): number[] {
  const all: number[] = [];
  for (let row = walk(); row !== undefined; row = walk()) all.push(row);
  return all;
}
