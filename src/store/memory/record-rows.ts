import type {
  NewOperation,
  OperationRecord,
  OperationState,
  StoredRequestId,
  StoredResult,
  TraceContext,
} from "../operation-store.js";
import {
  isVisible,
  type RecordChanges,
  type RecordHead,
  removalTime,
} from "../record-transitions.js";
import { later } from "../store-time.js";
import { createInternedStrings, type InternedStrings } from "./interned-strings.js";
import { createPagedCells } from "./paged-cells.js";
import { createPayloadCopies, type PayloadCopies, wordsOf } from "./payload-copies.js";
import { createPayloadSlabs, noContent, slabBytes } from "./payload-slabs.js";

/**
 * The records of a store, packed in typed arrays, which the garbage collector does not walk: about
 * 120 bytes for each in addition to its name and its payloads. A read creates an object.
 *
 * A tombstone is a removed record of which only the name and the request id remain.
 */
export interface RecordRows {
  add(operation: NewOperation, state: OperationState, createTimeMicros: number): number;
  change(row: number, changes: RecordChanges): void;
  /** Make it a tombstone. */
  makeTombstone(row: number): void;
  /** Releases the row. Its number may be used for another record. */
  free(row: number): void;
  /** @param copies Default: an array for this record alone. */
  read(row: number, copies?: PayloadCopies): OperationRecord;

  nameOf(row: number): string;
  stateOf(row: number): OperationState;
  isExternal(row: number): boolean;
  isHidden(row: number): boolean;
  isTombstone(row: number): boolean;
  /** Whether readers see it at this time: it was not deleted, and its retention is not over. */
  isVisibleAt(row: number, timeMicros: number): boolean;
  /** Returns the fields that the rules of its changes read. */
  headOf(row: number): RecordHead;
  createTimeOf(row: number): number;
  updateTimeOf(row: number): number;
  deadlineTimeOf(row: number): number | undefined;
  /** When it goes, or its tombstone does; undefined while there is no such time. */
  removalTimeOf(row: number): number | undefined;
  /** Returns the key of its request id, made by `requestKeyOf`; undefined if it has no request id. */
  requestKeyOf(row: number): string | undefined;
  /** When the window of its request id is over. */
  requestIdEndOf(row: number): number;
  /** Numbers of strings in the tables below. */
  parentOf(row: number): number;
  principalOf(row: number): number;
  /** Returns the number of its resource key; undefined if it has no resource key. */
  resourceOf(row: number): number | undefined;
  readonly principals: InternedStrings;
  readonly resources: InternedStrings;

  count(): number;
  /** Returns the size of all rows in bytes. */
  heldBytes(): number;
  /** How much `heldBytes` would grow by this operation. */
  bytesOf(operation: NewOperation): number;
  /** Returns by how much `heldBytes` would grow by these changes; negative if it would shrink. */
  growthOf(row: number, changes: RecordChanges): number;
}

/** Columns of times and durations; NaN stands for absent. */
const times = {
  create: 0,
  update: 1,
  deadline: 2,
  cancelRequest: 3,
  delete: 4,
  /** In milliseconds, as these were given. */
  retentionMs: 5,
  deadlineMs: 6,
  windowMs: 7,
} as const;
const timesPerRow = 8;

/** Columns of whole numbers. */
const numbers = {
  flags: 0,
  attempt: 1,
  handovers: 2,
  parent: 3,
  method: 4,
  principal: 5,
  /** The number of the resource key plus 1; 0 if the record has no resource key. */
  resource: 6,
  /** Handles of payloads. */
  request: 7,
  metadata: 8,
  checkpoint: 9,
  result: 10,
  fingerprint: 11,
  losses: 12,
} as const;
const numbersPerRow = 13;

const payloads = [
  numbers.request,
  numbers.metadata,
  numbers.checkpoint,
  numbers.result,
  numbers.fingerprint,
] as const;

const states: readonly OperationState[] = ["blocked", "queued", "running", "done"];
/** The lowest two bits are the state. */
const stateBits = 3;
const externalBit = 4;
const tombstoneBit = 8;
const errorBit = 16;

/** A page has 1024 rows. */
const pageBits = 10;
const pageRows = 2 ** pageBits;

/**
 * The size of a row in bytes without its texts and payloads: its columns, its places in the
 * indexes, and its part of the tables of names.
 */
const rowBytes = 256;

interface RowPage {
  readonly times: Float64Array;
  readonly numbers: Uint32Array;
  readonly names: string[];
  readonly requestKeys: (string | undefined)[];
  readonly traceContexts: (TraceContext | undefined)[];
}

/** Returns one string for a scope and an id. `requestIdFromKey` splits it again. */
export function requestKeyOf({ scope, id }: StoredRequestId): string {
  return `${scope.length}:${scope}${id}`;
}

/** @param parents The table of the parents' names. */
export function createRecordRows(parents: InternedStrings): RecordRows {
  const cells = createPagedCells<RowPage>(pageBits, () => ({
    times: new Float64Array(pageRows * timesPerRow),
    numbers: new Uint32Array(pageRows * numbersPerRow),
    names: new Array<string>(pageRows).fill(""),
    requestKeys: new Array<string | undefined>(pageRows).fill(undefined),
    traceContexts: new Array<TraceContext | undefined>(pageRows).fill(undefined),
  }));
  const slabs = createPayloadSlabs();
  const methods = createInternedStrings();
  const principals = createInternedStrings();
  const resources = createInternedStrings();
  /** Code units of all names, keys of request ids and trace contexts. */
  let textLength = 0;

  const timeOf = (row: number, column: number) =>
    cells.pageOf(row).times[(row % pageRows) * timesPerRow + column] ?? Number.NaN;
  const setTime = (row: number, column: number, value: number | undefined) => {
    cells.pageOf(row).times[(row % pageRows) * timesPerRow + column] = value ?? Number.NaN;
  };
  const numberOf = (row: number, column: number) =>
    cells.pageOf(row).numbers[(row % pageRows) * numbersPerRow + column] ?? 0;
  const setNumber = (row: number, column: number, value: number) => {
    cells.pageOf(row).numbers[(row % pageRows) * numbersPerRow + column] = value;
  };
  const presentTimeOf = (row: number, column: number) => presentTime(timeOf(row, column));
  const hasFlag = (row: number, bit: number) => (numberOf(row, numbers.flags) & bit) !== 0;
  const setFlag = (row: number, bit: number) =>
    setNumber(row, numbers.flags, numberOf(row, numbers.flags) | bit);
  const setPayload = (row: number, column: number, bytes: Uint8Array | undefined) => {
    const before = numberOf(row, column);
    setNumber(row, column, slabs.put(bytes));
    slabs.free(before);
  };
  /** For one record: one array for all of its payloads. */
  const copiesOf = (row: number): PayloadCopies => {
    let words = 0;
    for (const column of payloads) words += wordsOf(slabs.copiedLengthOf(numberOf(row, column)));
    return createPayloadCopies(words);
  };

  const stateOf = (row: number): OperationState =>
    states[numberOf(row, numbers.flags) & stateBits] ?? "done";
  const setState = (row: number, state: OperationState) => {
    const others = numberOf(row, numbers.flags) & ~stateBits;
    setNumber(row, numbers.flags, others | states.indexOf(state));
  };
  const setResult = (row: number, result: StoredResult | undefined) => {
    if (result?.kind === "error") setFlag(row, errorBit);
    setPayload(row, numbers.result, result?.value);
  };
  const nameOf = (row: number) => cells.pageOf(row).names[row % pageRows] ?? "";
  const requestKeyAt = (row: number) => cells.pageOf(row).requestKeys[row % pageRows];
  const textLengthOf = (row: number) =>
    nameOf(row).length +
    (requestKeyAt(row)?.length ?? 0) +
    lengthOf(cells.pageOf(row).traceContexts[row % pageRows]);
  const requestIdEndOf = (row: number) =>
    later(timeOf(row, times.create), timeOf(row, times.windowMs));
  const resourceOf = (row: number) => {
    const resource = numberOf(row, numbers.resource);
    return resource === 0 ? undefined : resource - 1;
  };

  const requestIdOf = (row: number, key: string, copies: PayloadCopies): StoredRequestId => {
    const fingerprint = slabs.get(numberOf(row, numbers.fingerprint), copies) ?? noContent;
    return { ...partsOfKey(key), fingerprint, windowMs: timeOf(row, times.windowMs) };
  };

  /** Releases the fields that a tombstone does not need. */
  const releaseContent = (row: number) => {
    const { traceContexts } = cells.pageOf(row);
    textLength -= lengthOf(traceContexts[row % pageRows]);
    traceContexts[row % pageRows] = undefined;
    for (const column of payloads) setPayload(row, column, undefined);
    parents.release(numberOf(row, numbers.parent));
    methods.release(numberOf(row, numbers.method));
    principals.release(numberOf(row, numbers.principal));
    const resource = resourceOf(row);
    if (resource !== undefined) resources.release(resource);
  };

  return {
    add(operation, state, createTimeMicros) {
      const row = cells.take();
      const page = cells.pageOf(row);
      const { requestId, resourceKey, deadlineMs } = operation;
      page.names[row % pageRows] = operation.name;
      page.requestKeys[row % pageRows] = requestId && requestKeyOf(requestId);
      page.traceContexts[row % pageRows] = operation.traceContext;
      textLength += textLengthOf(row);
      setTime(row, times.create, createTimeMicros);
      setTime(row, times.update, createTimeMicros);
      setTime(
        row,
        times.deadline,
        deadlineMs === undefined ? undefined : later(createTimeMicros, deadlineMs),
      );
      setTime(row, times.cancelRequest, undefined);
      setTime(row, times.delete, undefined);
      setTime(row, times.retentionMs, operation.retentionMs);
      setTime(row, times.deadlineMs, deadlineMs);
      setTime(row, times.windowMs, requestId?.windowMs);
      setNumber(row, numbers.flags, operation.external ? externalBit : 0);
      setState(row, state);
      setNumber(row, numbers.attempt, 0);
      setNumber(row, numbers.handovers, 0);
      setNumber(row, numbers.losses, 0);
      setNumber(row, numbers.parent, parents.retain(operation.parent));
      setNumber(row, numbers.method, methods.retain(operation.method));
      setNumber(row, numbers.principal, principals.retain(operation.principal));
      setNumber(
        row,
        numbers.resource,
        resourceKey === undefined ? 0 : resources.retain(resourceKey) + 1,
      );
      // The row may be reused. The payloads of its earlier record have already been freed.
      for (const column of payloads) setNumber(row, column, 0);
      setPayload(row, numbers.request, operation.request);
      setPayload(row, numbers.metadata, operation.metadata);
      setPayload(row, numbers.fingerprint, requestId?.fingerprint);
      setResult(row, operation.result);
      return row;
    },
    change(row, changes) {
      if (changes.state !== undefined) setState(row, changes.state);
      if (changes.attempt !== undefined) setNumber(row, numbers.attempt, changes.attempt);
      if (changes.handovers !== undefined) setNumber(row, numbers.handovers, changes.handovers);
      if (changes.losses !== undefined) setNumber(row, numbers.losses, changes.losses);
      if (changes.updateTimeMicros !== undefined) {
        setTime(row, times.update, changes.updateTimeMicros);
      }
      if ("deadlineTimeMicros" in changes) setTime(row, times.deadline, changes.deadlineTimeMicros);
      if (changes.cancelRequestTimeMicros !== undefined) {
        setTime(row, times.cancelRequest, changes.cancelRequestTimeMicros);
      }
      if (changes.deleteTimeMicros !== undefined) {
        setTime(row, times.delete, changes.deleteTimeMicros);
      }
      if ("metadata" in changes) setPayload(row, numbers.metadata, changes.metadata);
      if ("checkpoint" in changes) setPayload(row, numbers.checkpoint, changes.checkpoint);
      if (changes.result !== undefined) setResult(row, changes.result);
    },
    makeTombstone(row) {
      releaseContent(row);
      setFlag(row, tombstoneBit);
    },
    free(row) {
      if (!hasFlag(row, tombstoneBit)) releaseContent(row);
      textLength -= textLengthOf(row);
      const page = cells.pageOf(row);
      page.names[row % pageRows] = "";
      page.requestKeys[row % pageRows] = undefined;
      cells.free(row);
    },
    read(row, copies = copiesOf(row)) {
      // A list reads many rows, so the row's offset is computed once and not for each column.
      const page = cells.pageOf(row);
      const time = (row % pageRows) * timesPerRow;
      const number = (row % pageRows) * numbersPerRow;
      const timeAt = page.times;
      const numberAt = page.numbers;
      const requestKey = page.requestKeys[row % pageRows];
      const flags = numberAt[number + numbers.flags] ?? 0;
      const state = states[flags & stateBits] ?? "done";
      const updateTimeMicros = timeAt[time + times.update] ?? Number.NaN;
      const retentionMs = timeAt[time + times.retentionMs] ?? Number.NaN;
      // A done record does not change, so its end time is its update time.
      const endTimeMicros = state === "done" ? updateTimeMicros : undefined;
      const result = slabs.get(numberAt[number + numbers.result] ?? 0, copies);
      return {
        name: page.names[row % pageRows] ?? "",
        parent: parents.textOf(numberAt[number + numbers.parent] ?? 0),
        method: methods.textOf(numberAt[number + numbers.method] ?? 0),
        principal: principals.textOf(numberAt[number + numbers.principal] ?? 0),
        external: (flags & externalBit) !== 0,
        request: slabs.get(numberAt[number + numbers.request] ?? 0, copies) ?? noContent,
        metadata: slabs.get(numberAt[number + numbers.metadata] ?? 0, copies),
        result: result && { kind: (flags & errorBit) === 0 ? "response" : "error", value: result },
        retentionMs,
        deadlineMs: presentTime(timeAt[time + times.deadlineMs]),
        resourceKey: textOfResource(resources, resourceOf(row)),
        requestId: requestKey === undefined ? undefined : requestIdOf(row, requestKey, copies),
        traceContext: page.traceContexts[row % pageRows],
        state,
        attempt: numberAt[number + numbers.attempt] ?? 0,
        handovers: numberAt[number + numbers.handovers] ?? 0,
        losses: numberAt[number + numbers.losses] ?? 0,
        checkpoint: slabs.get(numberAt[number + numbers.checkpoint] ?? 0, copies),
        createTimeMicros: timeAt[time + times.create] ?? Number.NaN,
        updateTimeMicros,
        deadlineTimeMicros: presentTime(timeAt[time + times.deadline]),
        cancelRequestTimeMicros: presentTime(timeAt[time + times.cancelRequest]),
        endTimeMicros,
        expireTimeMicros:
          endTimeMicros === undefined ? undefined : later(endTimeMicros, retentionMs),
        deleteTimeMicros: presentTime(timeAt[time + times.delete]),
      };
    },

    nameOf,
    stateOf,
    isExternal: (row) => hasFlag(row, externalBit),
    isHidden: (row) => !Number.isNaN(timeOf(row, times.delete)),
    isTombstone: (row) => hasFlag(row, tombstoneBit),
    isVisibleAt(row, timeMicros) {
      const page = cells.pageOf(row);
      const time = (row % pageRows) * timesPerRow;
      const flags = page.numbers[(row % pageRows) * numbersPerRow + numbers.flags] ?? 0;
      if ((flags & tombstoneBit) !== 0) return false;
      return isVisible(
        presentTime(page.times[time + times.delete]),
        expireTimeAt(page, time, flags),
        timeMicros,
      );
    },
    headOf(row) {
      const page = cells.pageOf(row);
      const time = (row % pageRows) * timesPerRow;
      const number = (row % pageRows) * numbersPerRow;
      const flags = page.numbers[number + numbers.flags] ?? 0;
      return {
        state: states[flags & stateBits] ?? "done",
        external: (flags & externalBit) !== 0,
        attempt: page.numbers[number + numbers.attempt] ?? 0,
        handovers: page.numbers[number + numbers.handovers] ?? 0,
        losses: page.numbers[number + numbers.losses] ?? 0,
        retentionMs: page.times[time + times.retentionMs] ?? Number.NaN,
        deadlineTimeMicros: presentTime(page.times[time + times.deadline]),
        cancelRequestTimeMicros: presentTime(page.times[time + times.cancelRequest]),
      };
    },
    createTimeOf: (row) => timeOf(row, times.create),
    updateTimeOf: (row) => timeOf(row, times.update),
    deadlineTimeOf: (row) => presentTimeOf(row, times.deadline),
    removalTimeOf(row) {
      if (hasFlag(row, tombstoneBit)) return requestIdEndOf(row);
      const page = cells.pageOf(row);
      const time = (row % pageRows) * timesPerRow;
      const flags = page.numbers[(row % pageRows) * numbersPerRow + numbers.flags] ?? 0;
      return removalTime(
        states[flags & stateBits] === "done",
        (flags & externalBit) !== 0,
        presentTime(page.times[time + times.delete]),
        expireTimeAt(page, time, flags),
      );
    },
    requestKeyOf: requestKeyAt,
    requestIdEndOf,
    parentOf: (row) => numberOf(row, numbers.parent),
    principalOf: (row) => numberOf(row, numbers.principal),
    resourceOf,
    principals,
    resources,

    count: cells.taken,
    heldBytes: () => slabs.heldBytes() + textLength + cells.taken() * rowBytes,
    bytesOf: ({ name, requestId, traceContext, request, metadata, result }) =>
      rowBytes +
      name.length +
      lengthOf(traceContext) +
      (requestId === undefined ? 0 : requestKeyOf(requestId).length) +
      slabBytes(requestId?.fingerprint) +
      slabBytes(request) +
      slabBytes(metadata) +
      slabBytes(result?.value),
    growthOf(row, { metadata, checkpoint, result }) {
      const replaced = (column: number, bytes: Uint8Array | undefined) =>
        bytes === undefined ? 0 : slabBytes(bytes) - slabs.bytesOf(numberOf(row, column));
      return (
        replaced(numbers.metadata, metadata) +
        replaced(numbers.checkpoint, checkpoint) +
        replaced(numbers.result, result?.value)
      );
    },
  };
}

/** When the retention of a row is over, whose times begin at `time`; undefined until it is done. */
function expireTimeAt(page: RowPage, time: number, flags: number): number | undefined {
  if (states[flags & stateBits] !== "done") return undefined;
  // A done record does not change, so its end time is its update time.
  return later(
    page.times[time + times.update] ?? Number.NaN,
    page.times[time + times.retentionMs] ?? Number.NaN,
  );
}

/** Returns a time of a row; undefined if it is absent. */
function presentTime(time: number | undefined): number | undefined {
  return Number.isNaN(time) ? undefined : time;
}

/** Returns the code units of a trace context. */
function lengthOf(traceContext: TraceContext | undefined): number {
  if (traceContext === undefined) return 0;
  return traceContext.traceparent.length + (traceContext.tracestate?.length ?? 0);
}

function textOfResource(resources: InternedStrings, id: number | undefined): string | undefined {
  return id === undefined ? undefined : resources.textOf(id);
}

function partsOfKey(key: string): { scope: string; id: string } {
  const colon = key.indexOf(":");
  const idAt = colon + 1 + Number(key.slice(0, colon));
  return { scope: key.slice(colon + 1, idAt), id: key.slice(idAt) };
}
