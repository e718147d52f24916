import type { OperationFilter } from "./operation-filter.js";
import type { OperationState } from "./operation-state.js";

/**
 * A transaction that the caller has open, in the smallest form that database
 * drivers and query builders can be brought to; what pg-boss's adapters for those make is
 * one. Whatever is done under it
 * becomes visible when the caller commits, or never.
 */
export interface Transaction {
  executeSql(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  /**
   * Call back once it has committed, and never if it has not. What is no database
   * and lives in this process, a queue or a listener, needs it to take part; absent,
   * such a one refuses the transaction.
   */
  afterCommit?: ((callback: () => void) => void) | undefined;
  /** Calls back once it was rolled back, and never if it has committed. */
  afterRollback?: ((callback: () => void) => void) | undefined;
}

/** Options of every call to a store, a dispatcher or the signals. */
export interface StoreOptions {
  /**
   * Take part in this transaction. Absent: the call is a transaction of its own.
   * Who cannot refuses it with FAILED_PRECONDITION, reason `TRANSACTION_UNSUPPORTED`.
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
  /** Ids are compared within a scope only: caller, parent and method. */
  readonly scope: string;
  readonly id: string;
  /** Tells one request from another. A store keeps it and does not read it. */
  readonly fingerprint: Uint8Array;
  /** How long the id is remembered after the start, in milliseconds, if not longer for the record's sake. */
  readonly windowMs: number;
}

/** What is known of an operation when it starts. */
export interface NewOperation {
  /** `{parent/}operations/{id}`. */
  readonly name: string;
  /** The parent in the name; may be empty. */
  readonly parent: string;
  /** The method that started it, `package.Service/Method`. */
  readonly method: string;
  /** Who started it; empty where callers are not told apart. */
  readonly principal: string;
  /** Driven from outside: it starts out `running`, with attempt 0, and is never claimed. */
  readonly external: boolean;
  /** The method's input message, serialized. */
  readonly request: Uint8Array;
  /** A serialized google.protobuf.Any; undefined where there is none yet. */
  readonly metadata: Uint8Array | undefined;
  /** The end, where the work was done at once. Such a record is `done` from the first. */
  readonly result: StoredResult | undefined;
  /** How long the record is kept after its end, in milliseconds. */
  readonly retentionMs: number;
  /** How long after its start it is ended if it is not done, in milliseconds. Undefined: no limit. */
  readonly deadlineMs: number | undefined;
  /**
   * What it works on: of several operations with one key, `ParallelPolicy` says which
   * may run. Undefined: it is independent of all others.
   */
  readonly resourceKey: string | undefined;
  readonly requestId: StoredRequestId | undefined;
}

/**
 * What an insert does where its resource key has operations that are not done, hidden ones
 * among them, but for those that are driven from outside: nobody can end them any more.
 */
export type ParallelPolicy =
  /** The new one is `blocked` until `unblock` finds it the oldest that is not done. */
  | { readonly kind: "queue" }
  /** Nothing is written. */
  | { readonly kind: "refuse" }
  /** The earlier ones are `done` with this result, and what ran for them can write no more. */
  | { readonly kind: "preempt"; readonly result: StoredResult };

/** Options of an insert. */
export interface InsertOptions extends StoreOptions {
  /** Matters only with a resource key. Default: queue. */
  parallel?: ParallelPolicy | undefined;
  /**
   * Called before a new record that will be `queued` is written, which then is. What it throws
   * rejects the insert, and nothing is written. A store with transactions need not call it,
   * because there a dispatch that fails undoes the insert.
   */
  beforeQueued?: (() => void) | undefined;
}

/** Options of a claim. */
export interface ClaimOptions extends StoreOptions {
  /** Drop the checkpoint, if the attempt before this one was lost. Default: false, it is kept. */
  restartLost?: boolean | undefined;
}

/** Options of a request to cancel. */
export interface CancelOptions extends StoreOptions {
  /**
   * End the operation this long after the first request, in milliseconds, whatever its
   * work does: the deadline moves there, if it is not before. Absent: it does not move.
   */
  graceMs?: number | undefined;
}

/** Options of hiding an operation. */
export interface HideOptions extends StoreOptions {
  /** Leave an operation that is not done as it is. Default: false. */
  onlyDone?: boolean | undefined;
}

/** How operations end whose deadline has passed. */
export interface OverdueResults {
  readonly deadlineExceeded: StoredResult;
  /** Where a cancellation was asked for. */
  readonly cancelled: StoredResult;
}

/** What became of the operations whose deadline has passed. */
export interface Overdue {
  /** Those that were ended, hidden ones too. */
  readonly ended: readonly OperationRecord[];
  /** The earliest deadline of those that are left; undefined where none has one. */
  readonly nextDeadlineMicros: number | undefined;
}

/**
 * One operation as a store keeps it. Payloads are bytes, so that what nobody
 * here knows the type of passes through unharmed. A record is a snapshot: it
 * does not change, and nobody writes to it.
 *
 * Times are whole microseconds since the Unix epoch, by the store's clock.
 */
export interface OperationRecord extends NewOperation {
  readonly state: OperationState;
  /**
   * How often it was claimed: the fencing token. It only ever grows, and each
   * write of a worker must carry it.
   */
  readonly attempt: number;
  /** How many of the attempts were handed back by an orderly shutdown; those count against no bound. */
  readonly handovers: number;
  /**
   * How many of the attempts were lost: another claim came before they ended the operation
   * or gave it back.
   */
  readonly losses: number;
  /** What the work left for its next attempt; undefined where it left nothing. */
  readonly checkpoint: Uint8Array | undefined;
  readonly createTimeMicros: number;
  /** Never goes back, and stands still once the operation is done. */
  readonly updateTimeMicros: number;
  /** When it is ended if it is not done by then: by `deadlineMs` or the grace of a cancellation. */
  readonly deadlineTimeMicros: number | undefined;
  /** Undefined until somebody asked for a cancellation. */
  readonly cancelRequestTimeMicros: number | undefined;
  /** Undefined until it is done. */
  readonly endTimeMicros: number | undefined;
  /** When the record goes: its end plus its retention; undefined until it is done. */
  readonly expireTimeMicros: number | undefined;
  /** Undefined until it was deleted. A deleted record is kept, hidden, until its work has ended. */
  readonly deleteTimeMicros: number | undefined;
}

/** Writes what belongs to new records in the transaction of their insert. */
export type Together = (
  records: readonly OperationRecord[],
  transaction: Transaction,
) => Promise<void>;

/** What became of an insert. */
export type InsertOutcome =
  /** The record is new. `preempted`: the records that were ended for it. */
  | {
      readonly kind: "inserted";
      readonly record: OperationRecord;
      readonly preempted: readonly OperationRecord[];
    }
  /** The resource has an operation that is not done, and nothing was written: the oldest such one. */
  | { readonly kind: "busy"; readonly name: string }
  /** The scope has this request id already, and nothing was written: the record that it led to. */
  | { readonly kind: "duplicate"; readonly record: OperationRecord }
  /** The same, but the operation that it led to was deleted or has expired. */
  | { readonly kind: "spent"; readonly name: string }
  /**
   * Another operation has the name, or one had it whose request id is still remembered, and nothing
   * was written.
   */
  | { readonly kind: "name-taken" };

/** What became of an insert that wrote nothing. */
export type RefusedInsert = Exclude<InsertOutcome, { readonly kind: "inserted" }>;

/** One attempt at an operation: what a worker's writes must carry. */
export interface Claim {
  readonly name: string;
  /** The attempt that the claim returned; 0 for an operation that is driven from outside. */
  readonly attempt: number;
}

/** What a worker reports on the way. A member that is undefined leaves what is stored as it is. */
export interface Report {
  /** A serialized google.protobuf.Any. */
  readonly metadata?: Uint8Array | undefined;
  /** For the next attempt. */
  readonly checkpoint?: Uint8Array | undefined;
}

/** Where a page ends: the key of its last record. Both parts never change. */
export interface ListCursor {
  readonly createTimeMicros: number;
  readonly name: string;
}

/** Which records to list, newest first: by create time and then name, descending. */
export interface ListQuery {
  /**
   * The parent; empty for operations that have none. A segment `-` stands for any one
   * segment (AIP-159).
   */
  readonly parent: string;
  /** Only operations that this principal started. Undefined: everybody's. */
  readonly principal: string | undefined;
  /** Undefined: all of them. */
  readonly filter: OperationFilter | undefined;
  /** Go on after this key. Undefined: from the newest. */
  readonly after: ListCursor | undefined;
  /** At most this many records, at least 1. */
  readonly limit: number;
  /**
   * How many bytes the names, metadata and results of a page have at most, as `listedBytesOf`
   * counts them. A page may have one record that is larger. Absent: no bound.
   */
  readonly maxBytes?: number | undefined;
}

/** Which records of unfinished work to give, oldest first, of all parents. */
export interface UnfinishedQuery {
  /** Go on after this key. Undefined: from the oldest. */
  readonly after: ListCursor | undefined;
  /** At most this many records, at least 1. */
  readonly limit: number;
}

/** One page of records. */
export interface ListPage {
  /** May be fewer than the limit, even none, without this being the end. */
  readonly records: readonly OperationRecord[];
  /** Where to go on; undefined only at the end. */
  readonly next: ListCursor | undefined;
}

/**
 * Where the records of operations live: the truth about each of them.
 *
 * - A write that has resolved is seen by every later read, on every replica.
 * - `done` is final: no call changes the result, the metadata or the end time of
 *   a record that has it.
 * - Writes of a worker carry a `Claim`; one whose attempt is not the record's
 *   present one changes nothing.
 * - Records that are hidden or expired are not found by `get` and `list`.
 *
 * All methods reject with a ConnectError: RESOURCE_EXHAUSTED where a bound is
 * reached, UNAVAILABLE where the store cannot be reached now.
 */
export interface OperationStore {
  /**
   * False if the records are lost when this process ends: a server that shuts down then finishes
   * what is queued, and ends what it cannot finish. Absent: true.
   */
  readonly isDurable?: boolean | undefined;
  /**
   * Run `work` in one transaction: what it does with the transaction that it is
   * handed happens wholly or not at all. A store without transactions hands it
   * undefined, and then each of its calls stands for itself.
   */
  transaction<T>(work: (transaction: Transaction | undefined) => Promise<T>): Promise<T>;
  insert(operation: NewOperation, options?: InsertOptions): Promise<InsertOutcome>;
  /**
   * Returns the outcome of an insert that would not write the operation; undefined if it would.
   * Nothing is written, and the request id is not looked at. Rejects as the insert would.
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
  /** Undefined for an unknown, a hidden and an expired operation. */
  get(name: string, options?: StoreOptions): Promise<OperationRecord | undefined>;
  /**
   * Take an operation to run it: `running`, with its attempt raised by one, so
   * that whoever had it before can write no more; one that was `running` already counts
   * a loss. A hidden one too: a deletion does not stop the work. Undefined where there is nothing to run: unknown, blocked,
   * done, or driven from outside.
   */
  claim(name: string, options?: ClaimOptions): Promise<OperationRecord | undefined>;
  /** Keep what an attempt reports; undefined where the claim no longer holds. */
  report(
    claim: Claim,
    report: Report,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * The record as its worker sees it, a hidden one too; undefined where the claim no
   * longer holds.
   */
  look(claim: Claim, options?: StoreOptions): Promise<OperationRecord | undefined>;
  /**
   * Give an attempt back: `queued` again; or `done` with `whenCancelled`, where a
   * cancellation was asked for. `handover` is true for an orderly shutdown, which uses
   * up no attempt. Undefined where the claim no longer holds.
   */
  release(
    claim: Claim,
    handover: boolean,
    whenCancelled: StoredResult,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * The one terminal write: `done`, with the result and the last report, and
   * with its expire time. Undefined where the claim no longer holds.
   */
  finish(
    claim: Claim,
    result: StoredResult,
    report?: Report,
    options?: StoreOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Note that a cancellation was asked for; the first request's time stands. A
   * queued or blocked operation is `done` at once with `whenQueued` as its result; a
   * done one stays as it is. Undefined for an unknown, a hidden and an expired operation.
   */
  requestCancel(
    name: string,
    whenQueued: StoredResult,
    options?: CancelOptions,
  ): Promise<OperationRecord | undefined>;
  /**
   * Delete for all readers; the work, if it runs, runs on, and its result is
   * dropped. Work that is driven from outside finds the operation gone. Undefined for an
   * unknown, a hidden and an expired operation; one that `onlyDone` kept comes back
   * without a delete time.
   */
  hide(name: string, options?: HideOptions): Promise<OperationRecord | undefined>;
  /**
   * Have the oldest operation of a resource that is not done `queued`, if it is blocked,
   * and return it then: it has to be dispatched. One that is hidden and driven from outside
   * does not count. Undefined where nothing changed.
   */
  unblock(resourceKey: string, options?: StoreOptions): Promise<OperationRecord | undefined>;
  /**
   * End at most `limit` operations whose deadline has passed, in whatever state they are,
   * also those that are driven from outside: what ran for them can write no more.
   */
  endOverdue(results: OverdueResults, limit: number, options?: StoreOptions): Promise<Overdue>;
  list(query: ListQuery, options?: StoreOptions): Promise<ListPage>;
  /**
   * The operations whose work is not done, hidden ones too, without those that are blocked
   * or driven from outside: what a server that starts has to dispatch again where its
   * queue did not outlive the last process.
   */
  unfinished(query: UnfinishedQuery, options?: StoreOptions): Promise<ListPage>;
  /**
   * Remove at most `limit` records that nobody can find any more, and return how
   * many went: those past their expire time, and the hidden ones, unless their work
   * still runs. The request id of a record stays known for its window, also after
   * that; what a store keeps for it may count as a record.
   */
  expire(limit: number, options?: StoreOptions): Promise<number>;
  /** Let go of what the store holds open. Nothing may be called afterwards. */
  close(): Promise<void>;
}
