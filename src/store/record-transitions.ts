import type {
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
 * How a record of an operation may change, for every store that decides it in code. What a store
 * in a database decides in its statements is tested against these functions. Each of them takes
 * what a record is now and the time of the change, and writes nothing.
 */

/** What the rules read of a record: everything but its payloads and texts. */
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

/** What of a record changes. A member that is absent stays as it is; an undefined one is cleared. */
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

/** The changes of a call that finds nothing to change, but is answered with the record. */
export const unchanged: RecordChanges = {};

/** What an earlier start with the same request id left. */
export type EarlierStart = Extract<InsertOutcome, { kind: "duplicate" | "spent" }>;

/** What an insert has to know of the other records. */
export interface InsertLookups {
  findStarted(requestId: StoredRequestId): EarlierStart | undefined;
  isTaken(name: string): boolean;
  /**
   * The name of the oldest operation of a resource that is not done. One that is hidden and
   * driven from outside does not count, as nobody can end it any more.
   */
  oldestOf(resourceKey: string): string | undefined;
  /** The error of a store that has no room for one more operation; undefined where there is room. */
  refusal(): Error | undefined;
}

/** An insert that nothing stops, unless the write itself finds that the name is taken. */
export interface InsertPlan {
  readonly kind: "insert";
  readonly state: OperationState;
  /** How the open operations of the resource are ended first; undefined where none is. */
  readonly preempts: StoredResult | undefined;
}

/**
 * What becomes of an insert. Of several things that stop it, the caller hears of the first of
 * these: its request id was used, its name is taken, its resource is busy (AIP-151 asks for
 * ABORTED there, also where a store is full), the store is full.
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
  // What is done at once uses no resource.
  const oldest =
    resourceKey === undefined || result !== undefined ? undefined : lookups.oldestOf(resourceKey);
  const isBusy = oldest !== undefined && parallel.kind === "refuse";
  const preempts =
    oldest !== undefined && parallel.kind === "preempt" ? parallel.result : undefined;
  const refusal = isBusy ? undefined : lookups.refusal();
  // The write tells as well, but by then another answer would have been given, or others ended.
  if ((isBusy || preempts || refusal) && lookups.isTaken(name)) return { kind: "name-taken" };
  if (isBusy) return { kind: "busy", name: oldest };
  if (refusal !== undefined) throw refusal;
  const waits = oldest !== undefined && parallel.kind === "queue";
  const state = external ? "running" : waits ? "blocked" : "queued";
  return { kind: "insert", state: result === undefined ? state : "done", preempts };
}

/**
 * The outcome of an insert that would not write its operation, whose request id is not looked at.
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

/** The record of an operation that starts now. */
export function startedRecord(
  operation: NewOperation,
  state: OperationState,
  nowMicros: number,
): OperationRecord {
  const { deadlineMs, retentionMs } = operation;
  const isDone = state === "done";
  return {
    ...operation,
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

/** Whether a claim holds: the attempt that made it may write to the record. */
export function isHeldBy(head: RecordHead, attempt: number): boolean {
  return head.state === "running" && head.attempt === attempt;
}

/** A claim. Undefined where there is nothing to run. */
export function claimed(
  head: RecordHead,
  nowMicros: number,
  restartLost: boolean,
): RecordChanges | undefined {
  const { state, external } = head;
  if (external || state === "done" || state === "blocked") return undefined;
  const attempt = head.attempt + 1;
  if (state === "queued") return { state: "running", attempt, updateTimeMicros: nowMicros };
  const lost = { attempt, losses: head.losses + 1, updateTimeMicros: nowMicros };
  return restartLost ? { ...lost, checkpoint: undefined } : lost;
}

/** A report of the attempt that holds the record. */
export function reported(report: Report, nowMicros: number): RecordChanges {
  return { ...contentOf(report), updateTimeMicros: nowMicros };
}

/** An attempt that is given back. Undefined for an operation that is driven from outside. */
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

/** The end. */
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

/** The end of an operation whose deadline has passed. */
export function endedOverdue(
  head: RecordHead,
  nowMicros: number,
  results: OverdueResults,
): RecordChanges {
  const isCancelled = head.cancelRequestTimeMicros !== undefined;
  return finished(head, nowMicros, isCancelled ? results.cancelled : results.deadlineExceeded);
}

/** A request to cancel: it ends what no attempt has. */
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

/** A deletion, which leaves the update time as it is. */
export function hidden(head: RecordHead, nowMicros: number, onlyDone: boolean): RecordChanges {
  return onlyDone && head.state !== "done" ? unchanged : { deleteTimeMicros: nowMicros };
}

/** The turn of the oldest operation of a resource. Undefined where it did not wait for it. */
export function unblocked(head: RecordHead, nowMicros: number): RecordChanges | undefined {
  return head.state === "blocked" ? { state: "queued", updateTimeMicros: nowMicros } : undefined;
}

/** Whether readers find a record with these times. */
export function isVisible(
  deleteTimeMicros: number | undefined,
  expireTimeMicros: number | undefined,
  nowMicros: number,
): boolean {
  if (deleteTimeMicros !== undefined) return false;
  return expireTimeMicros === undefined || expireTimeMicros > nowMicros;
}

/** When a record goes; undefined while there is no such time. */
export function removalTime(
  isDone: boolean,
  isExternal: boolean,
  deleteTimeMicros: number | undefined,
  expireTimeMicros: number | undefined,
): number | undefined {
  // The work of one that is driven from outside finds it gone, whether it has ended or not.
  return isDone || isExternal ? earlier(deleteTimeMicros, expireTimeMicros) : undefined;
}

function contentOf({ metadata, checkpoint }: Report): RecordChanges {
  return { ...(metadata && { metadata }), ...(checkpoint && { checkpoint }) };
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
