import { type Clock, systemClock } from "../../internal/clock.js";
import { atLeastOne } from "../../internal/option-bounds.js";
import { storeClosed, storeFull, transactionUnsupported } from "../errors.js";
import { matchesFilter, type OperationFilter } from "../operation-filter.js";
import type {
  CancelOptions,
  Claim,
  HideOptions,
  InsertOptions,
  InsertOutcome,
  ListCursor,
  ListPage,
  ListQuery,
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
import { firstAtOrAfter, isBefore } from "./ordered-keys.js";

/** How a memory store is bounded and what time it goes by. */
export interface MemoryStoreOptions {
  /**
   * How many operations it keeps at most, at least 1, deleted ones whose request
   * id is still remembered among them; a start beyond that is refused with
   * RESOURCE_EXHAUSTED. Default: 100,000.
   */
  maxOperations?: number | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Longest stretch of records that one page looks at before it ends early. */
const maxScannedPerPage = 10_000;

/** How many records a start that meets a full store clears away at most, if it can. */
const maxExpiredWhenFull = 1000;

/** When a client that met a full store may try again. */
const fullRetryDelayMs = 60_000;

/**
 * A store in this process's memory: everything is gone when the process ends.
 *
 * @throws RangeError if `maxOperations` is not a whole number of at least 1.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): OperationStore {
  const maxOperations = atLeastOne("maxOperations", options.maxOperations ?? 100_000);
  const clock = options.clock ?? systemClock;
  const records = new Map<string, OperationRecord>();
  /** What is left of records that went before the window of their request id was over. */
  const tombstones = new Map<string, OperationRecord>();
  /** The name that each request id led to, for its record's and its window's time. */
  const nameByRequestId = new Map<string, string>();
  /** The keys of each parent's records, oldest first. */
  const keysByParent = new Map<string, ListCursor[]>();
  let lastMicros = 0;
  /** Before this time there is nothing to expire: spares the walk over all records. */
  let nextExpiryMicros = Number.POSITIVE_INFINITY;
  let closed = false;

  /** The store's own time: it does not go back, and is never behind what it stamped last. */
  const nowMicros = () => Math.max(lastMicros, Math.round(clock.nowMs() * 1000));
  /** A stamp: strictly growing, so that no two records share a create time. */
  const nextMicros = () => {
    lastMicros = Math.max(lastMicros + 1, nowMicros());
    return lastMicros;
  };

  const isVisible = (record: OperationRecord) =>
    record.deleteTimeMicros === undefined && !isExpired(record, nowMicros());

  const visible = (name: string) => {
    const record = records.get(name);
    return record !== undefined && isVisible(record) ? record : undefined;
  };

  /** The record that a claim may write to. */
  const claimed = (claim: Claim) => {
    const record = records.get(claim.name);
    return record?.state === "running" && record.attempt === claim.attempt ? record : undefined;
  };

  const replace = (record: OperationRecord, changes: Partial<OperationRecord>) => {
    const changed = { ...record, updateTimeMicros: nextMicros(), ...changes };
    records.set(record.name, changed);
    return changed;
  };

  /** Take a record away; its request id stays known for the rest of its window (AIP-155). */
  const remove = (record: OperationRecord, now: number) => {
    records.delete(record.name);
    const keys = keysByParent.get(record.parent);
    if (keys !== undefined) {
      const at = firstAtOrAfter(keys, record);
      if (keys[at]?.name === record.name) keys.splice(at, 1);
      if (keys.length === 0) keysByParent.delete(record.parent);
    }
    if (record.requestId === undefined) return;
    if (requestIdEndMicros(record) > now) tombstones.set(record.name, withoutPayloads(record));
    else forgetRequestId(record);
  };

  /** The id may belong to a newer operation by now: its window was over. */
  const forgetRequestId = ({ name, requestId }: OperationRecord) => {
    if (requestId === undefined) return;
    const key = keyOf(requestId);
    if (nameByRequestId.get(key) === name) nameByRequestId.delete(key);
  };

  const ended = (record: NewOperation, endTimeMicros: number) => {
    const expireTimeMicros = endTimeMicros + Math.round(record.retentionMs * 1000);
    nextExpiryMicros = Math.min(nextExpiryMicros, expireTimeMicros);
    return { state: "done" as const, endTimeMicros, expireTimeMicros };
  };

  const expire = (limit: number) => {
    const now = nowMicros();
    if (now < nextExpiryMicros) return 0;
    let removed = 0;
    let nextMicros = Number.POSITIVE_INFINITY;
    for (const record of tombstones.values()) {
      const endMicros = requestIdEndMicros(record);
      if (endMicros > now) {
        nextMicros = Math.min(nextMicros, endMicros);
        continue;
      }
      tombstones.delete(record.name);
      forgetRequestId(record);
    }
    for (const record of records.values()) {
      if (removed >= limit) {
        nextMicros = now;
        break;
      }
      if (isVisible(record)) {
        nextMicros = Math.min(nextMicros, record.expireTimeMicros ?? nextMicros);
      } else if (record.state === "done" || record.external) {
        remove(record, now);
        removed += 1;
        if (tombstones.has(record.name)) {
          nextMicros = Math.min(nextMicros, requestIdEndMicros(record));
        }
      }
    }
    nextExpiryMicros = nextMicros;
    return removed;
  };

  /** The record that a request id led to, also a hidden one. */
  const startedWith = (requestId: StoredRequestId | undefined) => {
    const name = requestId && nameByRequestId.get(keyOf(requestId));
    if (name === undefined) return undefined;
    const record = records.get(name) ?? tombstones.get(name);
    return record && (records.has(name) || requestIdEndMicros(record) > nowMicros())
      ? record
      : undefined;
  };

  const openOfResource = (resourceKey: string | undefined) => {
    if (resourceKey === undefined) return [];
    return [...records.values()].filter(
      (record) => record.resourceKey === resourceKey && record.state !== "done",
    );
  };

  const insert = (operation: NewOperation, options: InsertOptions): InsertOutcome => {
    const earlier = startedWith(operation.requestId);
    if (earlier !== undefined) {
      return records.has(earlier.name) && isVisible(earlier)
        ? { kind: "duplicate", record: earlier }
        : { kind: "spent", name: earlier.name };
    }
    if (records.has(operation.name) || tombstones.has(operation.name)) {
      return { kind: "name-taken" };
    }
    const isFull = () => records.size + tombstones.size >= maxOperations;
    if (isFull()) expire(maxExpiredWhenFull);
    if (isFull()) throw storeFull(maxOperations, fullRetryDelayMs);
    const open = operation.result ? [] : openOfResource(operation.resourceKey);
    const parallel = options.parallel ?? { kind: "queue" };
    const [oldest] = open;
    if (oldest !== undefined && parallel.kind === "refuse") {
      return { kind: "busy", name: oldest.name };
    }
    const preempted =
      parallel.kind === "preempt" ? open.map((record) => finish(record, parallel.result, {})) : [];
    const isBlocked = open.length > preempted.length;
    const createTimeMicros = nextMicros();
    const record: OperationRecord = {
      ...operation,
      state: operation.external ? "running" : isBlocked ? "blocked" : "queued",
      attempt: 0,
      handovers: 0,
      checkpoint: undefined,
      createTimeMicros,
      updateTimeMicros: createTimeMicros,
      deadlineTimeMicros: later(createTimeMicros, operation.deadlineMs),
      cancelRequestTimeMicros: undefined,
      endTimeMicros: undefined,
      expireTimeMicros: undefined,
      deleteTimeMicros: undefined,
      ...(operation.result && ended(operation, createTimeMicros)),
    };
    records.set(record.name, record);
    const keys = keysByParent.get(record.parent) ?? [];
    keys.push({ createTimeMicros, name: record.name });
    keysByParent.set(record.parent, keys);
    if (record.requestId) nameByRequestId.set(keyOf(record.requestId), record.name);
    return { kind: "inserted", record, preempted };
  };

  const finish = (record: OperationRecord, result: StoredResult, report: Report) => {
    const updateTimeMicros = nextMicros();
    const done = {
      ...reported(record, report),
      ...ended(record, updateTimeMicros),
      checkpoint: undefined,
      result,
      updateTimeMicros,
    };
    // Nobody sees how a deleted one ended, so it need not be kept.
    if (record.deleteTimeMicros !== undefined) nextExpiryMicros = updateTimeMicros;
    return replace(record, done);
  };

  const unfinished = ({ after, limit }: UnfinishedQuery): ListPage => {
    const found: OperationRecord[] = [];
    // In the order of their inserts, which is that of their create times.
    for (const record of records.values()) {
      if (record.state === "done" || record.state === "blocked" || record.external) continue;
      if (after !== undefined && !isBefore(after, record)) continue;
      if (found.length === limit) return { records: found, next: found.at(-1) };
      found.push(record);
    }
    return { records: found, next: undefined };
  };

  const requestCancel = (
    name: string,
    whenQueued: StoredResult,
    { graceMs }: CancelOptions,
  ): OperationRecord | undefined => {
    const record = visible(name);
    if (record === undefined || record.state === "done") return record;
    const updateTimeMicros = nextMicros();
    const cancelRequestTimeMicros = record.cancelRequestTimeMicros ?? updateTimeMicros;
    const graceEndMicros = later(cancelRequestTimeMicros, graceMs);
    const asked = replace(record, {
      cancelRequestTimeMicros,
      deadlineTimeMicros: earlier(record.deadlineTimeMicros, graceEndMicros),
      updateTimeMicros,
    });
    return record.state === "running" ? asked : finish(asked, whenQueued, {});
  };

  const hide = (name: string, { onlyDone }: HideOptions): OperationRecord | undefined => {
    const record = visible(name);
    if (record === undefined || (onlyDone && record.state !== "done")) return record;
    nextExpiryMicros = Math.min(nextExpiryMicros, nowMicros());
    // The update time of a done record stands still.
    const { updateTimeMicros } = record;
    return replace(record, { deleteTimeMicros: nextMicros(), updateTimeMicros });
  };

  const unblock = (resourceKey: string): OperationRecord | undefined => {
    const [oldest] = openOfResource(resourceKey);
    return oldest?.state === "blocked" ? replace(oldest, { state: "queued" }) : undefined;
  };

  const endOverdue = (results: OverdueResults, limit: number): Overdue => {
    const now = nowMicros();
    const ended: OperationRecord[] = [];
    let nextDeadlineMicros: number | undefined;
    for (const record of records.values()) {
      const { deadlineTimeMicros: deadline } = record;
      if (record.state === "done" || deadline === undefined) continue;
      if (deadline > now || ended.length === limit) {
        nextDeadlineMicros = earlier(nextDeadlineMicros, deadline);
        continue;
      }
      const isCancelled = record.cancelRequestTimeMicros !== undefined;
      ended.push(finish(record, isCancelled ? results.cancelled : results.deadlineExceeded, {}));
    }
    return { ended, nextDeadlineMicros };
  };

  const list = ({ parent, principal, filter, after, limit }: ListQuery): ListPage => {
    const keys = keysByParent.get(parent) ?? [];
    const found: OperationRecord[] = [];
    const start = after === undefined ? keys.length : firstAtOrAfter(keys, after);
    const end = Math.max(0, start - maxScannedPerPage);
    for (let at = start - 1; at >= end; at -= 1) {
      const key = keys[at];
      const record = key && visible(key.name);
      if (record === undefined || !matches(record, filter)) continue;
      if (principal !== undefined && record.principal !== principal) continue;
      found.push(record);
      if (found.length === limit) return { records: found, next: at > 0 ? key : undefined };
    }
    return { records: found, next: end > 0 ? keys[end] : undefined };
  };

  const assertUsable = (options: StoreOptions | undefined) => {
    if (closed) throw storeClosed();
    if (options?.transaction !== undefined) throw transactionUnsupported("memory store");
  };

  return {
    transaction: (work) => work(undefined),
    insert: async (operation, options) => {
      assertUsable(options);
      return insert(operation, options ?? {});
    },
    get: async (name, options) => {
      assertUsable(options);
      return visible(name);
    },
    claim: async (name, options) => {
      assertUsable(options);
      const record = records.get(name);
      if (record === undefined || record.external) return undefined;
      if (record.state === "done" || record.state === "blocked") return undefined;
      return replace(record, { state: "running", attempt: record.attempt + 1 });
    },
    report: async (claim, report, options) => {
      assertUsable(options);
      const record = claimed(claim);
      return record && replace(record, reported(record, report));
    },
    look: async (claim, options) => {
      assertUsable(options);
      return claimed(claim);
    },
    release: async (claim, handover, whenCancelled, options) => {
      assertUsable(options);
      const record = claimed(claim);
      if (record === undefined || record.external) return undefined;
      const handovers = record.handovers + (handover ? 1 : 0);
      return record.cancelRequestTimeMicros === undefined
        ? replace(record, { state: "queued", handovers })
        : finish(record, whenCancelled, {});
    },
    finish: async (claim, result, report, options) => {
      assertUsable(options);
      const record = claimed(claim);
      return record && finish(record, result, report ?? {});
    },
    requestCancel: async (name, whenQueued, options) => {
      assertUsable(options);
      return requestCancel(name, whenQueued, options ?? {});
    },
    hide: async (name, options) => {
      assertUsable(options);
      return hide(name, options ?? {});
    },
    unblock: async (resourceKey, options) => {
      assertUsable(options);
      return unblock(resourceKey);
    },
    endOverdue: async (results, limit, options) => {
      assertUsable(options);
      return endOverdue(results, limit);
    },
    list: async (query, options) => {
      assertUsable(options);
      return list(query);
    },
    unfinished: async (query, options) => {
      assertUsable(options);
      return unfinished(query);
    },
    expire: async (limit, options) => {
      assertUsable(options);
      return expire(limit);
    },
    close: async () => {
      closed = true;
      records.clear();
      tombstones.clear();
      nameByRequestId.clear();
      keysByParent.clear();
    },
  };
}

function isExpired(record: OperationRecord, nowMicros: number): boolean {
  return record.expireTimeMicros !== undefined && record.expireTimeMicros <= nowMicros;
}

function requestIdEndMicros(record: OperationRecord): number {
  return record.createTimeMicros + Math.round((record.requestId?.windowMs ?? 0) * 1000);
}

function later(timeMicros: number, delayMs: number | undefined): number | undefined {
  return delayMs === undefined ? undefined : timeMicros + Math.round(delayMs * 1000);
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function keyOf({ scope, id }: StoredRequestId): string {
  return `${scope}\u0000${id}`;
}

function withoutPayloads(record: OperationRecord): OperationRecord {
  return { ...record, request: new Uint8Array(), metadata: undefined, result: undefined };
}

function reported(record: OperationRecord, report: Report) {
  return {
    metadata: report.metadata ?? record.metadata,
    checkpoint: report.checkpoint ?? record.checkpoint,
  };
}

function matches(record: OperationRecord, filter: OperationFilter | undefined): boolean {
  return filter === undefined || matchesFilter(filter, record);
}
