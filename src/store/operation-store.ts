import type { OperationFilter } from "./operation-filter.js";
import type { OperationState } from "./operation-state.js";

/**
 * A transaction that the caller has begun. Its changes become visible when the caller commits.
 *
 * The interface is small, so that an adapter for any database driver or query builder fits; the
 * adapters of pg-boss do.
 */
export interface Transaction {
  executeSql(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  /**
   * Calls back once the transaction has committed, and never otherwise. A queue and signals in
   * this process need it; if it is absent, they refuse the transaction.
   */
  afterCommit?: ((callback: () => void) => void) | undefined;
  /** Calls back once the transaction was rolled back, and never otherwise. */
  afterRollback?: ((callback: () => void) => void) | undefined;
}

/** Options of every call to a store, a dispatcher or the signals. */
export interface StoreOptions {
  /**
   * The transaction that the call takes part in. An implementation that cannot do so rejects with
   * FAILED_PRECONDITION, reason `TRANSACTION_UNSUPPORTED`. Absent: the call has its own transaction.
   */
  transaction?: Transaction | undefined;
}

export type { OperationState };

/** The end of an operation: one of the two members of `Operation.result`. */
export interface StoredResult {
  readonly kind: "response" | "error";
  /** `response`: a google.protobuf.Any. `error`: a google.rpc.Status. Both serialized. */
  readonly value: Uint8Array;
}

/** The AIP-155 request id that an operation was started with. */
export interface StoredRequestId {
  /** Two ids are the same only within one scope: caller, parent and method. */
  readonly scope: string;
  readonly id: string;
  /** A digest of the request. A store keeps it and does not read it. */
  readonly fingerprint: Uint8Array;
  /**
   * How long the store remembers the id after the start, in milliseconds. It is remembered at least
   * as long as the record exists.
   */
  readonly windowMs: number;
}

/** The W3C trace context of the start of an operation. */
export interface TraceContext {
  /** `00-{trace id}-{span id}-{flags}`. */
  readonly traceparent: string;
  /** The vendors' part of the context; undefined if the start did not have it. */
  readonly tracestate?: string | undefined;
}

/** An operation that starts. */
export interface NewOperation {
  /** `{parent/}operations/{id}`. */
  readonly name: string;
  /** The parent in the name; may be empty. */
  readonly parent: string;
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
  /** The caller that started it; empty if the server does not distinguish callers. */
  readonly principal: string;
  /** Whether other programs do the work: it starts as `running` with attempt 0 and is never claimed. */
  readonly external: boolean;
  /** The method's input message, serialized. */
  readonly request: Uint8Array;
  /** A serialized google.protobuf.Any; undefined if the operation has no metadata yet. */
  readonly metadata: Uint8Array | undefined;
  /** The result, if the work was done at once: the record is `done` from the start. */
  readonly result: StoredResult | undefined;
  /** How long the record is kept after its end, in milliseconds. */
  readonly retentionMs: number;
  /** How long after its start an operation that is not done is ended, in milliseconds. Undefined: never. */
  readonly deadlineMs: number | undefined;
  /**
   * The resource that it works on: `ParallelPolicy` decides which of several operations with one
   * key may run. Undefined: it is independent of all others.
   */
  readonly resourceKey: string | undefined;
  readonly requestId: StoredRequestId | undefined;
  /**
   * The trace in which it was started. A store keeps it and does not read it. Absent: none is known.
   */
  readonly traceContext?: TraceContext | undefined;
}

/**
 * Decides what an insert does if its resource key has operations that are not done. Hidden
 * operations count, except operations with external work, because no program can end them.
 */
export type ParallelPolicy =
  /** The new operation is `blocked` until `unblock` finds that it is the oldest that is not done. */
  | { readonly kind: "queue" }
  /** The insert writes nothing. */
  | { readonly kind: "refuse" }
  /** The earlier operations are ended with this result, and their attempts cannot write any longer. */
  | { readonly kind: "preempt"; readonly result: StoredResult };

/** Options of an insert. */
export interface InsertOptions extends StoreOptions {
  /** Used only with a resource key. Default: queue. */
  parallel?: ParallelPolicy | undefined;
  /**
   * Called immediately before a `queued` record is written. If it throws, the insert rejects with
   * that error and writes nothing. A store with transactions need not call it, because there a
   * dispatch that fails undoes the insert.
   */
  beforeQueued?: (() => void) | undefined;
}

/** Options of reading one operation. */
export interface GetOptions extends StoreOptions {
  /** Whether an operation that is hidden or expired is returned, too. Default: false. */
  evenHidden?: boolean | undefined;
}

/** Options of a claim. */
export interface ClaimOptions extends StoreOptions {
  /**
   * The attempt that is lost: an operation that is `running` is claimed only if this is its attempt.
   * 0: only a `queued` operation is claimed. Default: whichever attempt runs is lost.
   */
  lostAttempt?: number | undefined;
  /** Whether the checkpoint of a lost attempt is deleted. Default: false. */
  restartLost?: boolean | undefined;
}

/** Options of a request to cancel. */
export interface CancelOptions extends StoreOptions {
  /**
   * How long after the first request to cancel the operation is ended although its work goes on, in
   * milliseconds. The deadline moves there unless it is earlier. Absent: it does not move.
   */
  graceMs?: number | undefined;
}

/** Options of hiding an operation. */
export interface HideOptions extends StoreOptions {
  /** Whether an operation that is not done stays as it is. Default: false. */
  onlyDone?: boolean | undefined;
}

/** The results of operations whose deadline has passed. */
export interface OverdueResults {
  readonly deadlineExceeded: StoredResult;
  /** The result of an operation that a caller has asked to cancel. */
  readonly cancelled: StoredResult;
}

/** The operations that a call of `endOverdue` ended. */
export interface Overdue {
  /** The ended operations, including hidden ones. */
  readonly ended: readonly OperationRecord[];
  /** The earliest deadline of an open operation; undefined if no open operation has a deadline. */
  readonly nextDeadlineMicros: number | undefined;
}

/**
 * One operation as a store keeps it. Payloads are bytes, so that messages of unknown types stay
 * unchanged. A record is a snapshot, which never changes.
 *
 * Times are whole microseconds since the Unix epoch, by the store's clock.
 */
export interface OperationRecord extends NewOperation {
  readonly state: OperationState;
  /** How often it was claimed: the fencing token. It never decreases, and each write of a worker has it. */
  readonly attempt: number;
  /** How many attempts an orderly shutdown returned to the queue. They count against no bound. */
  readonly handovers: number;
  /** How many attempts were lost: the next claim came before they ended or released the operation. */
  readonly losses: number;
  /** State that the work saved for its next attempt; undefined if it saved none. */
  readonly checkpoint: Uint8Array | undefined;
  readonly createTimeMicros: number;
  /** Never decreases, and does not change once the operation is done. */
  readonly updateTimeMicros: number;
  /** When the operation is ended unless it is done: by `deadlineMs` or the grace of a cancellation. */
  readonly deadlineTimeMicros: number | undefined;
  /** When a caller first asked to cancel; undefined before. */
  readonly cancelRequestTimeMicros: number | undefined;
  /** When the operation ended; undefined before. */
  readonly endTimeMicros: number | undefined;
  /** When the record expires: its end plus its retention; undefined until it is done. */
  readonly expireTimeMicros: number | undefined;
  /** When it was deleted; undefined before. A deleted record stays, hidden, until its work has ended. */
  readonly deleteTimeMicros: number | undefined;
}

/**
 * Called to make more writes, such as the dispatch, in the transaction that inserts new records.
 */
export type Together = (
  records: readonly OperationRecord[],
  transaction: Transaction,
) => Promise<void>;

/** The outcome of an insert. Only `inserted` has written something. */
export type InsertOutcome =
  /** The record is new. `preempted` are the records that were ended for it. */
  | {
      readonly kind: "inserted";
      readonly record: OperationRecord;
      readonly preempted: readonly OperationRecord[];
    }
  /** The resource has operations that are not done; the name is that of the oldest. */
  | { readonly kind: "busy"; readonly name: string }
  /** The scope has this request id already; the record is that of its operation. */
  | { readonly kind: "duplicate"; readonly record: OperationRecord }
  /** The scope has this request id already, but its operation was deleted or has expired. */
  | { readonly kind: "spent"; readonly name: string }
  /** Another operation has the name, or the store still remembers the request id of one that had it. */
  | { readonly kind: "name-taken" };

/** The outcome of an insert that wrote nothing. */
export type RefusedInsert = Exclude<InsertOutcome, { readonly kind: "inserted" }>;

/** One attempt at an operation. Every write of a worker names it. */
export interface Claim {
  readonly name: string;
  /** The attempt that the claim returned; 0 for an operation with external work. */
  readonly attempt: number;
}

/** A worker's report while it runs. A member that is undefined leaves the stored value as it is. */
export interface Report {
  /** A serialized google.protobuf.Any. */
  readonly metadata?: Uint8Array | undefined;
  /** State for the next attempt. */
  readonly checkpoint?: Uint8Array | undefined;
}

/** The key of the last record of a page. Both parts never change. */
export interface ListCursor {
  readonly createTimeMicros: number;
  readonly name: string;
}

/** Selects records of a list, newest first: by create time and then name, descending. */
export interface ListQuery {
  /** The parent; empty for operations without a parent. A segment `-` matches any one segment (AIP-159). */
  readonly parent: string;
  /** Lists only the operations that this principal started. Undefined: all operations. */
  readonly principal: string | undefined;
  /** The filter. Undefined: all operations match. */
  readonly filter: OperationFilter | undefined;
  /** Continues after this key. Undefined: begins with the newest. */
  readonly after: ListCursor | undefined;
  /** At most this many records, at least 1. */
  readonly limit: number;
  /**
   * How many bytes the names, metadata and results of a page have at most, as `listedBytesOf`
   * counts them. A page may have one record that is larger. Absent: no bound.
   */
  readonly maxBytes?: number | undefined;
  /**
   * Whether the page leaves out stores that cannot be reached, instead of rejecting with
   * UNAVAILABLE (AIP-217). Default: false.
   */
  readonly isPartial?: boolean | undefined;
}

/** Selects records of unfinished work, oldest first, of all parents. */
export interface UnfinishedQuery {
  /** Continues after this key. Undefined: begins with the oldest. */
  readonly after: ListCursor | undefined;
  /** At most this many records, at least 1. */
  readonly limit: number;
}

/** One page of records. */
export interface ListPage {
  /** May be fewer than the limit, even none, although the list goes on. */
  readonly records: readonly OperationRecord[];
  /** The key to continue after; undefined only at the end of the list. */
  readonly next: ListCursor | undefined;
  /** The places that a partial page leaves out. Absent: none. */
  readonly unreachable?: readonly string[] | undefined;
}

/** The server's part in the commands of operators on a store that only this process reaches. */
export interface OperatorAccess {
  /** Stops the attempt of a running operation as lost, and delivers the operation again. */
  deliverAgain(record: OperationRecord): Promise<void>;
  /** Called if operators cannot reach the store. */
  failed(cause: unknown): void;
}

/**
 * The store of the operations' records.
 *
 * - Every read that begins after a write has resolved sees it, on every replica.
 * - `done` is final: no call changes the result, the metadata or the end time of a `done` record.
 * - Writes of a worker name a `Claim`. If its attempt is not the record's present one, the write
 *   changes nothing.
 * - `get` and `list` do not find records that are hidden or expired.
 *
 * All methods reject with a ConnectError: RESOURCE_EXHAUSTED if a bound is reached, UNAVAILABLE if
 * the store cannot be reached.
 */
export interface OperationStore {
  /**
   * Whether the records outlive this process. If not, a server that shuts down finishes the queued
   * operations, and ends those that it cannot finish. Absent: true.
   */
  readonly isDurable?: boolean | undefined;
  /**
   * How many stores it consists of, each of which can be away alone. Page tokens are valid for one
   * number. Absent: lists are never partial.
   */
  readonly shardCount?: number | undefined;
  /**
   * Runs `work` in one transaction: either all of its changes are made or none. A store without
   * transactions passes undefined, and each call of `work` is then independent of the others.
   */
  transaction<T>(work: (transaction: Transaction | undefined) => Promise<T>): Promise<T>;
  insert(operation: NewOperation, options?: InsertOptions): Promise<InsertOutcome>;
  /**
   * Resolves with the reason why an insert would not write the operation, or with undefined if it
   * would. Writes nothing, ignores the request id, and rejects as the insert would.
   */
  check(operation: NewOperation, options?: InsertOptions): Promise<RefusedInsert | undefined>;
  /**
   * Inserts an operation that has no resource and is not done. Operations that are inserted at
   * the same time may share a transaction, and one call of `together` if they were given the
   * same function: it gets the new records before the commit. If it rejects, each operation is
   * inserted again in a transaction of its own, and `together` gets that record alone; if that
   * rejects too, nothing of the operation is written. Absent: the caller uses `transaction`
   * and `insert`.
   */
  insertTogether?(operation: NewOperation, together: Together): Promise<InsertOutcome>;
  /** Returns undefined if the operation is unknown, hidden or expired. */
  get(name: string, options?: GetOptions): Promise<OperationRecord | undefined>;
  /**
   * Claims an operation in order to run it: it is `running`, and its attempt is one higher, so that
   * the attempt before can no longer write. If it was `running` already, that attempt counts as
   * lost. A hidden operation can be claimed, because a deletion does not stop the work.
   *
   * Returns undefined if there is nothing to run: the operation is unknown, blocked or done, its
   * work is external, or an attempt other than `lostAttempt` runs.
   */
  claim(name: string, options?: ClaimOptions): Promise<OperationRecord | undefined>;
  /** Stores a report of an attempt. Returns undefined if the claim no longer holds. */
  report(
    claim: Claim,
    report: Report,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /** Returns the record for its worker, even if it is hidden; undefined if the claim no longer holds. */
  look(claim: Claim, options?: StoreOptions): Promise<OperationRecord | undefined>;
  /**
   * Releases an attempt: the operation is `queued` again, or `done` with `whenCancelled` if a caller
   * asked to cancel it. `handover` is true for an orderly shutdown, which uses up no attempt.
   * Returns undefined if the claim no longer holds.
   */
  release(
    claim: Claim,
    handover: boolean,
    whenCancelled: StoredResult,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Makes the terminal write: the operation is `done`, with the result, the last report and its
   * expire time. Returns undefined if the claim no longer holds.
   */
  finish(
    claim: Claim,
    result: StoredResult,
    report?: Report,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Stores the time of the first request to cancel. A queued or blocked operation is `done` at once
   * with `whenQueued` as its result; an operation that is done does not change. Returns undefined if
   * the operation is unknown, hidden or expired.
   */
  requestCancel(
    name: string,
    whenQueued: StoredResult,
    options?: CancelOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Hides an operation from all readers. Work that runs goes on, and its result is dropped; external
   * work no longer finds the operation. If `onlyDone` keeps the operation, the record has no delete
   * time. Returns undefined if the operation is unknown, hidden or expired.
   */
  hide(name: string, options?: HideOptions): Promise<OperationRecord | undefined>;
  /**
   * Makes the oldest open operation of a resource `queued` if it is blocked, and returns it for its
   * dispatch. Hidden operations with external work do not count. Returns undefined if nothing
   * changed.
   */
  unblock(resourceKey: string, options?: StoreOptions): Promise<OperationRecord | undefined>;
  /**
   * Ends at most `limit` operations whose deadline has passed, whatever their state, including those
   * with external work. Their attempts can no longer write.
   */
  endOverdue(results: OverdueResults, limit: number, options?: StoreOptions): Promise<Overdue>;
  list(query: ListQuery, options?: StoreOptions): Promise<ListPage>;
  /**
   * Lists the operations whose work is not done, including hidden ones, except those that are
   * blocked or have external work. A server whose queue did not outlive the last process dispatches
   * them again when it starts.
   */
  unfinished(query: UnfinishedQuery, options?: StoreOptions): Promise<ListPage>;
  /**
   * Removes at most `limit` records that have expired or are hidden, unless their work still runs,
   * and returns their number. The store remembers the request id of a removed record for its window,
   * and may count it as a record.
   */
  expire(limit: number, options?: StoreOptions): Promise<number>;
  /**
   * Lets operators reach the store through this process, until `close`. The server that owns the
   * store calls it once. Absent: they reach it without a server, or not at all.
   */
  serveOperator?(access: OperatorAccess): void;
  /** Closes files and connections. No method may be called afterwards. */
  close(): Promise<void>;
}
