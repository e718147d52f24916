import { type Clock, systemClock } from "../../internal/clock.js";
import { inRange, longestMs } from "../../internal/option-bounds.js";
import { storeFull } from "../errors.js";
import type { CountingStore } from "../operation-counts.js";
import type {
  InsertOptions,
  InsertOutcome,
  NewOperation,
  OperationRecord,
  Overdue,
  OverdueResults,
  StoredResult,
  UnfinishedQuery,
} from "../operation-store.js";
import { countStatements, countsFromRows } from "../sql/count-operations.js";
import { numberOf } from "../sql/row.js";
import { createFileBound } from "./file-bound.js";
import { createGroupCommit } from "./group-commit.js";
import { listOperations } from "./list-operations.js";
import { loadDriver } from "./load-driver.js";
import { openDatabase } from "./open-database.js";
import { createOperationTable } from "./operation-table.js";
import { createSqliteDatabase } from "./sqlite-database.js";
import type { SqliteDriver } from "./sqlite-driver.js";
import { diskFull, resultCodeOf, resultCodes } from "./sqlite-errors.js";
import { createStoreTime, later } from "./store-time.js";

/** Where a SQLite store keeps its operations, and what bounds it. */
export interface SqliteStoreOptions {
  /**
   * The database file, made if there is none, on a disk of this machine: the locks of
   * network file systems do not hold. Beside it there is one more, with `-wal` at its end,
   * which belongs to it.
   */
  path: string;
  /** Default: `node:sqlite` where this Node has it (from 22.13), else the package `libsql`. */
  driver?: SqliteDriver | undefined;
  /**
   * About how large the file may grow, in bytes, at least 1 MiB; a start beyond that is
   * refused with RESOURCE_EXHAUSTED, and what was started can still end. What expires or is
   * deleted makes room, though no smaller file. Infinity is no bound but the disk's. Default:
   * 16 GiB.
   */
  maxBytes?: number | undefined;
  /**
   * Longest time that the work of a transaction may take, in milliseconds, 1 to 2^31 - 1:
   * all others wait for it. It is rolled back then, and rejected with ABORTED. Default: 5000.
   */
  maxTransactionMs?: number | undefined;
  /**
   * Read the whole file at the start, some seconds for each gigabyte, and refuse one that is
   * damaged. Default: true.
   */
  isChecked?: boolean | undefined;
  /** Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** How many records a start that meets a full store clears away at most, if it can. */
const maxExpiredWhenFull = 1000;

/** The least that `maxBytes` can be: below it the tables alone do not fit. */
const leastMaxBytes = 1024 * 1024;
const defaultMaxBytes = 16 * 1024 ** 3;

/**
 * Open a store in one SQLite file, for one process, which has it alone until `close`. What
 * a call has resolved with is on the disk (WAL, `synchronous=FULL`). Transactions run one
 * after the other; `executeSql` of theirs reaches tables of the caller's own in the same
 * file, with `?` for parameters, and must not begin or end transactions itself.
 *
 * The calls of the driver block the event loop, some tenths of a millisecond for most and
 * for a flush as long as the disk takes.
 *
 * @throws ConnectError `FailedPrecondition` for a file that is open elsewhere, cannot be
 *   opened, is not ours or of a newer version; `DataLoss` for one that is damaged.
 * @throws RangeError for an option out of its bounds.
 * @throws Error that names what to install, if no driver is there.
 */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<CountingStore> {
  const path = filePath(options.path);
  const maxBytes = inRange("maxBytes", options.maxBytes ?? defaultMaxBytes, leastMaxBytes);
  const maxTransactionMs = inRange(
    "maxTransactionMs",
    options.maxTransactionMs ?? 5000,
    1,
    longestMs,
  );
  const clock = options.clock ?? systemClock;
  const open = await loadDriver(options.driver);
  const file = await openDatabase(path, open, options.isChecked ?? true);
  const database = createSqliteDatabase(file.connection);
  const [newest] = database.rows("select coalesce(max(create_time), 0) as last from operations");
  const time = createStoreTime(clock, newest === undefined ? 0 : numberOf(newest, "last"));
  const table = createOperationTable(database, time);
  const bound = createFileBound(database, maxBytes);
  const group = createGroupCommit({ database, maxTransactionMs, clock });
  let closing: Promise<void> | undefined;

  const insert = (operation: NewOperation, { parallel }: InsertOptions): InsertOutcome => {
    const { requestId, resourceKey, result } = operation;
    const earlier = requestId && table.findStarted(requestId);
    if (earlier !== undefined) return earlier;
    const open = resourceKey === undefined || result ? [] : table.openOfResource(resourceKey);
    const [oldest] = open;
    const policy = parallel ?? { kind: "queue" };
    if (oldest !== undefined && policy.kind === "refuse") {
      return table.isTaken(operation.name)
        ? { kind: "name-taken" }
        : { kind: "busy", name: oldest.name };
    }
    if (bound.isReached() && (table.expire(maxExpiredWhenFull) === 0 || bound.isReached())) {
      throw storeFull({ maxBytes });
    }
    const isBlocked = policy.kind === "queue" && oldest !== undefined;
    const record = newRecord(operation, isBlocked, time.next());
    if (!table.insert(record)) return { kind: "name-taken" };
    const preempted =
      policy.kind === "preempt" ? open.map((other) => table.end(other, policy.result, {})) : [];
    return { kind: "inserted", record, preempted };
  };

  const insertOrRefuse = (operation: NewOperation, insertOptions: InsertOptions) => {
    try {
      // Several statements, where there is a resource: all of them or none.
      return operation.resourceKey === undefined
        ? insert(operation, insertOptions)
        : database.atomically(() => insert(operation, insertOptions));
    } catch (cause) {
      if (resultCodeOf(cause) === resultCodes.full) throw diskFull(cause);
      throw cause;
    }
  };

  const requestCancel = (
    name: string,
    whenQueued: StoredResult,
    graceMs: number | undefined,
  ): OperationRecord | undefined => {
    const record = table.findVisible(name);
    if (record === undefined || record.state === "done") return record;
    const updateTimeMicros = time.next(record.updateTimeMicros);
    const cancelRequestTimeMicros = record.cancelRequestTimeMicros ?? updateTimeMicros;
    const asked = {
      cancelRequestTimeMicros,
      deadlineTimeMicros: earlier(
        record.deadlineTimeMicros,
        graceMs === undefined ? undefined : later(cancelRequestTimeMicros, graceMs),
      ),
    };
    return record.state === "running"
      ? table.change(record, { ...asked, updateTimeMicros })
      : table.end({ ...record, ...asked }, whenQueued, {});
  };

  const endOverdue = (results: OverdueResults, limit: number): Overdue => {
    const ended = table.overdue(limit).map((record) => {
      const isCancelled = record.cancelRequestTimeMicros !== undefined;
      return table.end(record, isCancelled ? results.cancelled : results.deadlineExceeded, {});
    });
    return { ended, nextDeadlineMicros: table.nextDeadlineMicros() };
  };

  const unfinished = ({ after, limit }: UnfinishedQuery) => {
    const found = table.unfinished(after?.createTimeMicros ?? 0, limit + 1);
    if (found.length <= limit) return { records: found, next: undefined };
    return { records: found.slice(0, limit), next: found[limit - 1] };
  };

  const close = async () => {
    await group.close();
    file.close();
  };

  return {
    transaction: (work) => group.transaction(work),
    insert: (operation, callOptions) =>
      group.run(() => insertOrRefuse(operation, callOptions ?? {}), callOptions),
    get: (name, callOptions) => group.read(() => table.findVisible(name), callOptions),
    claim: (name, callOptions) =>
      group.run(() => {
        const record = table.find(name);
        if (record === undefined || record.external) return undefined;
        if (record.state === "done" || record.state === "blocked") return undefined;
        const attempt = record.attempt + 1;
        if (record.state === "queued") return table.progress(record, { state: "running", attempt });
        const losses = record.losses + 1;
        const checkpoint = callOptions?.restartLost ? undefined : record.checkpoint;
        return table.progress(record, { attempt, losses, checkpoint });
      }, callOptions),
    report: (claim, report, callOptions) =>
      group.run(() => {
        const record = table.findClaimed(claim);
        return (
          record &&
          table.progress(record, {
            metadata: report.metadata ?? record.metadata,
            checkpoint: report.checkpoint ?? record.checkpoint,
          })
        );
      }, callOptions),
    look: (claim, callOptions) => group.read(() => table.findClaimed(claim), callOptions),
    release: (claim, handover, whenCancelled, callOptions) =>
      group.run(() => {
        const record = table.findClaimed(claim);
        if (record === undefined || record.external) return undefined;
        if (record.cancelRequestTimeMicros !== undefined) {
          return table.end(record, whenCancelled, {});
        }
        const handovers = record.handovers + (handover ? 1 : 0);
        return table.progress(record, { state: "queued", handovers });
      }, callOptions),
    finish: (claim, result, report, callOptions) =>
      group.run(() => {
        const record = table.findClaimed(claim);
        return record && table.end(record, result, report ?? {});
      }, callOptions),
    requestCancel: (name, whenQueued, callOptions) =>
      group.run(() => requestCancel(name, whenQueued, callOptions?.graceMs), callOptions),
    hide: (name, callOptions) =>
      group.run(() => {
        const record = table.findVisible(name);
        const isKept = callOptions?.onlyDone === true && record?.state !== "done";
        if (record === undefined || isKept) return record;
        const { updateTimeMicros } = record;
        return table.change(record, { deleteTimeMicros: time.next(), updateTimeMicros });
      }, callOptions),
    unblock: (resourceKey, callOptions) =>
      group.run(() => {
        const [oldest] = table.openOfResource(resourceKey);
        return oldest?.state === "blocked"
          ? table.progress(oldest, { state: "queued" })
          : undefined;
      }, callOptions),
    endOverdue: (results, limit, callOptions) =>
      group.run(() => database.atomically(() => endOverdue(results, limit)), callOptions),
    list: (query, callOptions) =>
      group.read(() => listOperations(database, query, time.now()), callOptions),
    unfinished: (query, callOptions) => group.read(() => unfinished(query), callOptions),
    expire: (limit, callOptions) =>
      group.run(() => database.atomically(() => table.expire(limit)), callOptions),
    counts: () =>
      group.read(() => {
        const { open, lost } = countStatements("operations");
        return countsFromRows(database.rows(open), database.rows(lost));
      }, undefined),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** @throws RangeError for what SQLite would take for no file at all. */
function filePath(path: string): string {
  if (path !== "" && !path.startsWith(":") && !path.startsWith("file:")) return path;
  throw new RangeError(`path must be that of a file, not "${path}"`);
}

function newRecord(
  operation: NewOperation,
  isBlocked: boolean,
  createTimeMicros: number,
): OperationRecord {
  const { result, deadlineMs, retentionMs } = operation;
  const isDone = result !== undefined;
  const state = operation.external ? "running" : isBlocked ? "blocked" : "queued";
  return {
    ...operation,
    state: isDone ? "done" : state,
    attempt: 0,
    handovers: 0,
    losses: 0,
    checkpoint: undefined,
    createTimeMicros,
    updateTimeMicros: createTimeMicros,
    deadlineTimeMicros: deadlineMs === undefined ? undefined : later(createTimeMicros, deadlineMs),
    cancelRequestTimeMicros: undefined,
    endTimeMicros: isDone ? createTimeMicros : undefined,
    expireTimeMicros: isDone ? later(createTimeMicros, retentionMs) : undefined,
    deleteTimeMicros: undefined,
  };
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
