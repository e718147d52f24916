import { type Clock, systemClock } from "../../internal/clock.js";
import { inRange, longestMs } from "../../internal/option-bounds.js";
import { storeFull } from "../errors.js";
import type { CountingStore } from "../operation-counts.js";
import type {
  InsertOptions,
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperatorAccess,
  Overdue,
  OverdueResults,
  UnfinishedQuery,
} from "../operation-store.js";
import {
  cancelRequested,
  checkInsert,
  claimed,
  endedOverdue,
  finished,
  hidden,
  type InsertLookups,
  planInsert,
  type RecordChanges,
  released,
  reported,
  startedRecord,
  unblocked,
  unchanged,
} from "../record-transitions.js";
import { countStatements, countsFromRows } from "../sql/count-operations.js";
import { numberOf } from "../sql/row.js";
import { createStoreTime } from "../store-time.js";
import { createWorkerIdentity } from "../worker-identity.js";
import { createFileBound } from "./file-bound.js";
import { createGroupCommit } from "./group-commit.js";
import { listOperations } from "./list-operations.js";
import { loadDriver } from "./load-driver.js";
import { openDatabase } from "./open-database.js";
import { createOperationTable } from "./operation-table.js";
import { type OperatorSocket, openOperatorSocket } from "./operator-socket.js";
import { createSqliteDatabase } from "./sqlite-database.js";
import type { SqliteDriver } from "./sqlite-driver.js";
import { createSqliteOperator } from "./sqlite-operator.js";

/** The file and the limits of a SQLite store. */
export interface SqliteStoreOptions {
  /**
   * The database file, which is created if it does not exist. It must be on a local disk, because
   * locks of network file systems are not reliable. A second file, with `-wal` at the end of its
   * name, belongs to it.
   */
  path: string;
  /** The driver. Default: `node:sqlite` if this Node has it (from 22.13), otherwise the package `libsql`. */
  driver?: SqliteDriver | undefined;
  /**
   * Approximate maximum size of the file, in bytes, at least 1 MiB. A start beyond it is refused
   * with RESOURCE_EXHAUSTED; started operations can still end. Expired and deleted operations make
   * room, but do not shrink the file. Infinity means that only the disk is a bound. Default: 16 GiB.
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
  /**
   * Whether `longrunning inspect`, `requeue` and `workers` reach the operations through the server
   * that owns the store: by a Unix socket in a folder with `-operator` at the end of its name beside
   * the file, which this user alone can open. Not on Windows. Default: true.
   */
  servesOperators?: boolean | undefined;
  /** Measures time. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** How many records a start that meets a full store clears away at most, if it can. */
const maxExpiredWhenFull = 1000;

/** The least that `maxBytes` can be: below it the tables alone do not fit. */
const leastMaxBytes = 1024 * 1024;
const defaultMaxBytes = 16 * 1024 ** 3;

/**
 * Opens a store in one SQLite file. Until `close`, only this process can use the file. When a call
 * has resolved, its writes are on the disk (WAL, `synchronous=FULL`). Transactions run one after
 * the other. Their `executeSql` reaches the caller's tables in the same file, with `?` for
 * parameters, and must not begin or end transactions.
 *
 * Calls of the driver block the event loop: most for some tenths of a millisecond, a flush for as
 * long as the disk takes.
 *
 * @throws ConnectError FAILED_PRECONDITION if another process has the file, it cannot be opened,
 * another program wrote it, or a newer version of this package has made it unusable for this one.
 * @throws ConnectError RESOURCE_EXHAUSTED if the disk is full.
 * @throws ConnectError DATA_LOSS if the file is damaged.
 * @throws RangeError if an option is out of its bounds.
 * @throws Error that names the package to install if there is no driver.
 * @example
 * const store = await createSqliteStore({ path: "operations.db" });
 * const operations = createOperations({ store });
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
  const identity = await createWorkerIdentity();
  const file = await openDatabase(path, open, options.isChecked ?? true);
  const database = createSqliteDatabase(file.connection);
  const [newest] = database.rows("select coalesce(max(create_time), 0) as last from operations");
  const time = createStoreTime(clock, newest === undefined ? 0 : numberOf(newest, "last"));
  const table = createOperationTable(database, time, identity.id);
  const bound = createFileBound(database, maxBytes);
  const group = createGroupCommit({ database, maxTransactionMs, clock });
  let closing: Promise<void> | undefined;
  let operatorSocket: Promise<OperatorSocket | undefined> | undefined;

  /** Changes a record by a rule; returns undefined if there is no record or the rule refuses. */
  const change = (
    record: OperationRecord | undefined,
    rule: (record: OperationRecord, nowMicros: number) => RecordChanges | undefined,
  ): OperationRecord | undefined => {
    const changes = record && rule(record, time.next(record.updateTimeMicros));
    if (record === undefined || changes === undefined) return undefined;
    return changes === unchanged ? record : table.change(record, changes);
  };

  /** Changes a record by a rule that never refuses. */
  const end = (
    record: OperationRecord,
    rule: (record: OperationRecord, nowMicros: number) => RecordChanges,
  ) => table.change(record, rule(record, time.next(record.updateTimeMicros)));

  const refusal = () => {
    const isFull =
      bound.isReached() && (table.expire(maxExpiredWhenFull) === 0 || bound.isReached());
    return isFull ? storeFull({ maxBytes }) : undefined;
  };

  const lookups: InsertLookups = {
    findStarted: table.findStarted,
    isTaken: table.isTaken,
    oldestOf: (resourceKey) => table.openOfResource(resourceKey, 1)[0]?.name,
    refusal,
  };

  const insert = (operation: NewOperation, given: InsertOptions): InsertOutcome => {
    const plan = planInsert(operation, given, lookups);
    if (plan.kind !== "insert") return plan;
    const { preempts } = plan;
    const { resourceKey } = operation;
    const preempted =
      preempts === undefined || resourceKey === undefined
        ? []
        : table
            .openOfResource(resourceKey)
            .map((other) => end(other, (head, now) => finished(head, now, preempts)));
    const record = startedRecord(operation, plan.state, time.next());
    const isInserted =
      table.insert(record) || (!table.isTaken(operation.name) && table.insert(record));
    if (!isInserted) return { kind: "name-taken" };
    return { kind: "inserted", record, preempted };
  };

  const endOverdue = (results: OverdueResults, limit: number): Overdue => {
    const ended = table
      .overdue(limit)
      .map((record) => end(record, (head, now) => endedOverdue(head, now, results)));
    return { ended, nextDeadlineMicros: table.nextDeadlineMicros() };
  };

  const unfinished = ({ after, limit }: UnfinishedQuery) => {
    const found = table.unfinished(after?.createTimeMicros ?? 0, limit + 1);
    if (found.length <= limit) return { records: found, next: undefined };
    return { records: found.slice(0, limit), next: found[limit - 1] };
  };

  const serveOperator = (access: OperatorAccess) => {
    if (options.servesOperators === false || closing !== undefined) return;
    const operator = createSqliteOperator({ database, table, group, time, identity, access });
    operatorSocket ??= openOperatorSocket(file.file, {
      inspect: ({ name }) => operator.inspect(String(name)),
      requeue: ({ name, force }) => operator.requeue(String(name), force === true),
      workers: () => operator.workers(),
    }).catch((cause: unknown) => {
      access.failed(cause);
      return undefined;
    });
  };

  const close = async () => {
    await (await operatorSocket)?.close();
    await group.close();
    file.close();
  };

  return {
    transaction: (work) => group.transaction(work),
    insert: (operation, callOptions) =>
      group.run(() => {
        const given = callOptions ?? {};
        // If the operation has a resource, its several statements must succeed or fail together.
        return operation.resourceKey === undefined
          ? insert(operation, given)
          : database.atomically(() => insert(operation, given));
      }, callOptions),
    check: (operation, callOptions) =>
      group.run(() => checkInsert(operation, callOptions ?? {}, lookups), callOptions),
    get: (name, callOptions) =>
      group.read(
        () => (callOptions?.evenHidden ? table.find(name) : table.findVisible(name)),
        callOptions,
      ),
    claim: (name, callOptions) =>
      group.run(
        () => change(table.find(name), (record, now) => claimed(record, now, callOptions)),
        callOptions,
      ),
    report: (claim, report, callOptions) =>
      group.run(
        () => change(table.findClaimed(claim), (_, now) => reported(report, now)),
        callOptions,
      ),
    look: (claim, callOptions) => group.read(() => table.findClaimed(claim), callOptions),
    release: (claim, handover, whenCancelled, callOptions) =>
      group.run(
        () =>
          change(table.findClaimed(claim), (record, now) =>
            released(record, now, handover, whenCancelled),
          ),
        callOptions,
      ),
    finish: (claim, result, report, callOptions) =>
      group.run(
        () =>
          change(table.findClaimed(claim), (record, now) => finished(record, now, result, report)),
        callOptions,
      ),
    requestCancel: (name, whenQueued, callOptions) =>
      group.run(
        () =>
          change(table.findVisible(name), (record, now) =>
            cancelRequested(record, now, whenQueued, callOptions?.graceMs),
          ),
        callOptions,
      ),
    hide: (name, callOptions) =>
      group.run(() => {
        const onlyDone = callOptions?.onlyDone === true;
        return change(table.findVisible(name), (record, now) => hidden(record, now, onlyDone));
      }, callOptions),
    unblock: (resourceKey, callOptions) =>
      group.run(() => change(table.openOfResource(resourceKey, 1)[0], unblocked), callOptions),
    endOverdue: (results, limit, callOptions) =>
      group.run(() => database.atomically(() => endOverdue(results, limit)), callOptions),
    list: (query, callOptions) =>
      group.read(() => listOperations(database, query, time.now()), callOptions),
    unfinished: (query, callOptions) => group.read(() => unfinished(query), callOptions),
    expire: (limit, callOptions) =>
      group.run(() => database.atomically(() => table.expire(limit)), callOptions),
    counts: () =>
      group.read(() => {
        const { open, lost } = countStatements("operations", "min(create_time)");
        return countsFromRows(database.rows(open), database.rows(lost));
      }, undefined),
    serveOperator,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** @throws RangeError if SQLite would not take the path for a file. */
function filePath(path: string): string {
  if (path !== "" && !path.startsWith(":") && !path.startsWith("file:")) return path;
  throw new RangeError(`path must be that of a file, not "${path}"`);
}
