import type {
  ClaimOptions,
  InsertOptions,
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationState,
  OverdueResults,
  RefusedInsert,
  Report,
  StoredRequestId,
  StoredResult,
} from "./operation-store.js";
import { later } from "./store-time.js";

/*
 * The rules by which a record of an operation changes, for every store that decides in code. The
 * statements of PostgreSQL are tested against the same rules. Each function takes the present
 * record and the time of the change, and writes nothing.
 */

/** The fields of a record that the transition rules read. */
export type RecordHead = Pick<
  OperationRecord,
  | "state"
  | "external"
  | "attempt"
  | "handovers"
  | "losses"
  | "retentionMs"
  | "deadlineTimeMicros"
  | "cancelRequestTimeMicros"
>;

/** Changes to a record. An absent member stays as it is. An undefined member is cleared. */
export type RecordChanges = Partial<
  Pick<
    OperationRecord,
    | "state"
    | "attempt"
    | "handovers"
    | "losses"
    | "updateTimeMicros"
    | "deadlineTimeMicros"
    | "cancelRequestTimeMicros"
    | "endTimeMicros"
    | "expireTimeMicros"
    | "deleteTimeMicros"
    | "metadata"
    | "checkpoint"
    | "result"
  >
>;

/** The changes of a call that changes nothing and returns the record. */
export const unchanged: RecordChanges = {};

/** The outcome of a start whose request id was used before. */
export type EarlierStart = Extract<InsertOutcome, { kind: "duplicate" | "spent" }>;

/** Queries about other records that an insert depends on. */
export interface InsertLookups {
  findStarted(requestId: StoredRequestId): EarlierStart | undefined;
  isTaken(name: string): boolean;
  /**
   * Returns the name of the oldest operation of a resource that is not done. Hidden operations with
   * external work do not count, because no program can end them.
   */
  oldestOf(resourceKey: string): string | undefined;
  /** Returns the error of a store that has no room for the operation; undefined if there is room. */
  refusal(): Error | undefined;
}

/**
 * The outcome of an insert without obstacles. The write itself may still find that the name is
 * taken.
 */
export interface InsertPlan {
  readonly kind: "insert";
  readonly state: OperationState;
  /** The result with which open operations of the resource are ended first; undefined if they are not. */
  readonly preempts: StoredResult | undefined;
}

/**
 * Decides the outcome of an insert. If several obstacles exist, the first one in this order counts:
 * its request id was used, its name is taken, its resource is busy, the store is full. AIP-151 asks
 * for ABORTED if a resource is busy, which is why a full store comes last.
 *
 * @throws what `refusal` returns.
 */
export function planInsert(
  operation: NewOperation,
  options: InsertOptions,
  lookups: InsertLookups,
): InsertPlan | RefusedInsert {
  const { name, external, requestId, result, resourceKey } = operation;
  const earlier = requestId && lookups.findStarted(requestId);
  if (earlier !== undefined) return earlier;
  const parallel = options.parallel ?? { kind: "queue" };
  // An operation that is done at once does not use its resource.
  const oldest =
    resourceKey === undefined || result !== undefined ? undefined : lookups.oldestOf(resourceKey);
  const isBusy = oldest !== undefined && parallel.kind === "refuse";
  const preempts =
    oldest !== undefined && parallel.kind === "preempt" ? parallel.result : undefined;
  const refusal = isBusy ? undefined : lookups.refusal();
  // The name is checked before another outcome is returned and before other operations are ended.
  // The write checks it again.
  if ((isBusy || preempts || refusal) && lookups.isTaken(name)) return { kind: "name-taken" };
  if (isBusy) return { kind: "busy", name: oldest };
  if (refusal !== undefined) throw refusal;
  const waits = oldest !== undefined && parallel.kind === "queue";
  const state = external ? "running" : waits ? "blocked" : "queued";
  return { kind: "insert", state: result === undefined ? state : "done", preempts };
}

/**
 * Returns the outcome of an insert that would not write its operation; undefined if it would. The
 * request id is ignored.
 *
 * @throws what `refusal` returns.
 */
export function checkInsert(
  operation: NewOperation,
  options: InsertOptions,
  lookups: InsertLookups,
): RefusedInsert | undefined {
  const plan = planInsert({ ...operation, requestId: undefined }, options, lookups);
  if (plan.kind !== "insert") return plan;
  return lookups.isTaken(operation.name) ? { kind: "name-taken" } : undefined;
}

/** Returns the record of an operation that starts now. */
export function startedRecord(
  operation: NewOperation,
  state: OperationState,
  nowMicros: number,
): OperationRecord {
  const { deadlineMs, retentionMs } = operation;
  const isDone = state === "done";
  return {
    ...operation,
    traceContext: operation.traceContext,
    state,
    attempt: 0,
    handovers: 0,
    losses: 0,
    checkpoint: undefined,
    createTimeMicros: nowMicros,
    updateTimeMicros: nowMicros,
    deadlineTimeMicros: deadlineMs === undefined ? undefined : later(nowMicros, deadlineMs),
    cancelRequestTimeMicros: undefined,
    endTimeMicros: isDone ? nowMicros : undefined,
    expireTimeMicros: isDone ? later(nowMicros, retentionMs) : undefined,
    deleteTimeMicros: undefined,
  };
}

/** Whether a claim holds: its attempt may still write to the record. */
export function isHeldBy(head: RecordHead, attempt: number): boolean {
  return head.state === "running" && head.attempt === attempt;
}

/** Returns the changes of a claim; undefined if there is nothing to run. */
export function claimed(
  head: RecordHead,
  nowMicros: number,
  { restartLost, lostAttempt = head.attempt }: ClaimOptions = {},
): RecordChanges | undefined {
  const { state, external } = head;
  if (external || state === "done" || state === "blocked") return undefined;
  const attempt = head.attempt + 1;
  if (state === "queued") return { state: "running", attempt, updateTimeMicros: nowMicros };
  if (head.attempt !== lostAttempt) return undefined;
  const lost = { attempt, losses: head.losses + 1, updateTimeMicros: nowMicros };
  return restartLost ? { ...lost, checkpoint: undefined } : lost;
}

/** Returns the changes of a report. */
export function reported(report: Report, nowMicros: number): RecordChanges {
  return { ...contentOf(report), updateTimeMicros: nowMicros };
}

/** Returns the changes of a released attempt; undefined for an operation with external work. */
export function released(
  head: RecordHead,
  nowMicros: number,
  handover: boolean,
  whenCancelled: StoredResult,
): RecordChanges | undefined {
  if (head.external) return undefined;
  if (head.cancelRequestTimeMicros !== undefined) return finished(head, nowMicros, whenCancelled);
  const handovers = head.handovers + (handover ? 1 : 0);
  return { state: "queued", handovers, updateTimeMicros: nowMicros };
}

/** Returns the changes of the terminal write. */
export function finished(
  head: RecordHead,
  nowMicros: number,
  result: StoredResult,
  report: Report = {},
): RecordChanges {
  return {
    ...contentOf(report),
    state: "done",
    checkpoint: undefined,
    result,
    updateTimeMicros: nowMicros,
    endTimeMicros: nowMicros,
    expireTimeMicros: later(nowMicros, head.retentionMs),
  };
}

/** Returns the changes that end an operation whose deadline has passed. */
export function endedOverdue(
  head: RecordHead,
  nowMicros: number,
  results: OverdueResults,
): RecordChanges {
  const isCancelled = head.cancelRequestTimeMicros !== undefined;
  return finished(head, nowMicros, isCancelled ? results.cancelled : results.deadlineExceeded);
}

/** Returns the changes of a request to cancel, which ends an operation that no attempt runs. */
export function cancelRequested(
  head: RecordHead,
  nowMicros: number,
  whenQueued: StoredResult,
  graceMs: number | undefined,
): RecordChanges {
  if (head.state === "done") return unchanged;
  const cancelRequestTimeMicros = head.cancelRequestTimeMicros ?? nowMicros;
  const graceEnd = graceMs === undefined ? undefined : later(cancelRequestTimeMicros, graceMs);
  const asked = {
    cancelRequestTimeMicros,
    deadlineTimeMicros: earlier(head.deadlineTimeMicros, graceEnd),
    updateTimeMicros: nowMicros,
  };
  return head.state === "running" ? asked : { ...asked, ...finished(head, nowMicros, whenQueued) };
}

/** Returns the changes of a deletion, which does not change the update time. */
export function hidden(head: RecordHead, nowMicros: number, onlyDone: boolean): RecordChanges {
  return onlyDone && head.state !== "done" ? unchanged : { deleteTimeMicros: nowMicros };
}

/** Returns the changes of a blocked operation whose turn it is; undefined if it is not blocked. */
export function unblocked(head: RecordHead, nowMicros: number): RecordChanges | undefined {
  return head.state === "blocked" ? { state: "queued", updateTimeMicros: nowMicros } : undefined;
}

/** Returns whether readers find a record with these times. */
export function isVisible(
  deleteTimeMicros: number | undefined,
  expireTimeMicros: number | undefined,
  nowMicros: number,
): boolean {
  if (deleteTimeMicros !== undefined) return false;
  return expireTimeMicros === undefined || expireTimeMicros > nowMicros;
}

/** Returns the time at which a record may be removed; undefined while it stays. */
export function removalTime(
  isDone: boolean,
  isExternal: boolean,
  deleteTimeMicros: number | undefined,
  expireTimeMicros: number | undefined,
): number | undefined {
  // External work no longer finds a hidden operation, whether it has ended or not.
  return isDone || isExternal ? earlier(deleteTimeMicros, expireTimeMicros) : undefined;
}

function contentOf({ metadata, checkpoint }: Report): RecordChanges {
  return { ...(metadata && { metadata }), ...(checkpoint && { checkpoint }) };
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
