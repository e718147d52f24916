import type {
  OperationRecord,
  OperationState,
  StoredRequestId,
  StoredResult,
} from "../operation-store.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import {
  booleanOf,
  bytesOf,
  numberOf,
  optionalBytesOf,
  optionalNumberOf,
  optionalTextOf,
  type Row,
  textOf,
} from "../sql/row.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** The columns of an operation, with what a record has in each. */
const valueByColumn: Readonly<Record<string, (record: OperationRecord) => SqliteValue>> = {
  create_time: (record) => record.createTimeMicros,
  name: (record) => escapeNul(record.name),
  parent: (record) => escapeNul(record.parent),
  method: (record) => escapeNul(record.method),
  principal: (record) => escapeNul(record.principal),
  external: (record) => (record.external ? 1 : 0),
  state: (record) => record.state,
  attempt: (record) => record.attempt,
  handovers: (record) => record.handovers,
  losses: (record) => record.losses,
  retention_ms: (record) => record.retentionMs,
  deadline_ms: (record) => record.deadlineMs ?? null,
  update_time: (record) => record.updateTimeMicros,
  deadline_time: (record) => record.deadlineTimeMicros ?? null,
  cancel_request_time: (record) => record.cancelRequestTimeMicros ?? null,
  end_time: (record) => record.endTimeMicros ?? null,
  expire_time: (record) => record.expireTimeMicros ?? null,
  delete_time: (record) => record.deleteTimeMicros ?? null,
  request_window_ms: (record) => record.requestId?.windowMs ?? null,
  resource_key: (record) => escaped(record.resourceKey),
  request_scope: (record) => escaped(record.requestId?.scope),
  request_id: (record) => escaped(record.requestId?.id),
  request_fingerprint: (record) => record.requestId?.fingerprint ?? null,
  result_kind: (record) => record.result?.kind ?? null,
  result: (record) => record.result?.value ?? null,
  metadata: (record) => record.metadata ?? null,
  checkpoint: (record) => record.checkpoint ?? null,
  request: (record) => record.request,
};

const columns = Object.keys(valueByColumn);

/** What to select for `recordFromRow`. */
export const operationColumns = columns.join(", ");

/** Writes a new row: `insertValues` of its record. */
export const insertStatement = `insert into operations (${operationColumns}, request_window_end_time)
  values (${columns.map(() => "?").join(", ")}, ?) on conflict do nothing`;

/** @param requestWindowEndMicros Undefined where it has no request id. */
export function insertValues(
  record: OperationRecord,
  requestWindowEndMicros: number | undefined,
): SqliteValue[] {
  return [...valuesOf(record, columns), requestWindowEndMicros ?? null];
}

/** What changes while the work goes on: no index has to follow. */
const progressColumns = [
  "state",
  "attempt",
  "handovers",
  "losses",
  "update_time",
  "metadata",
  "checkpoint",
];

/** All that changes. */
const changingColumns = [
  ...progressColumns,
  "deadline_time",
  "cancel_request_time",
  "end_time",
  "expire_time",
  "delete_time",
  "result_kind",
  "result",
];

/** Writes `progressValues` of a record. */
export const progressStatement = updateStatement(progressColumns);

export function progressValues(record: OperationRecord): SqliteValue[] {
  return [...valuesOf(record, progressColumns), record.createTimeMicros];
}

/** Writes `changeValues` of a record. */
export const changeStatement = updateStatement(changingColumns);

export function changeValues(record: OperationRecord): SqliteValue[] {
  return [...valuesOf(record, changingColumns), record.createTimeMicros];
}

function updateStatement(changing: readonly string[]): string {
  const assignments = changing.map((column) => `${column} = ?`).join(", ");
  return `update operations set ${assignments} where create_time = ?`;
}

function valuesOf(record: OperationRecord, wanted: readonly string[]): SqliteValue[] {
  return wanted.map((column) => valueByColumn[column]?.(record) ?? null);
}

/** @throws TypeError if the row is not one of `operationColumns`. */
export function recordFromRow(row: Row): OperationRecord {
  const resourceKey = optionalTextOf(row, "resource_key");
  return {
    name: unescapeNul(textOf(row, "name")),
    parent: unescapeNul(textOf(row, "parent")),
    method: unescapeNul(textOf(row, "method")),
    principal: unescapeNul(textOf(row, "principal")),
    external: booleanOf(row, "external"),
    state: stateOf(row),
    attempt: numberOf(row, "attempt"),
    handovers: numberOf(row, "handovers"),
    losses: numberOf(row, "losses"),
    request: bytesOf(row, "request"),
    metadata: optionalBytesOf(row, "metadata"),
    checkpoint: optionalBytesOf(row, "checkpoint"),
    result: resultOf(row),
    retentionMs: numberOf(row, "retention_ms"),
    deadlineMs: optionalNumberOf(row, "deadline_ms"),
    resourceKey: resourceKey === undefined ? undefined : unescapeNul(resourceKey),
    requestId: requestIdOf(row),
    createTimeMicros: numberOf(row, "create_time"),
    updateTimeMicros: numberOf(row, "update_time"),
    deadlineTimeMicros: optionalNumberOf(row, "deadline_time"),
    cancelRequestTimeMicros: optionalNumberOf(row, "cancel_request_time"),
    endTimeMicros: optionalNumberOf(row, "end_time"),
    expireTimeMicros: optionalNumberOf(row, "expire_time"),
    deleteTimeMicros: optionalNumberOf(row, "delete_time"),
  };
}

function stateOf(row: Row): OperationState {
  const state = textOf(row, "state");
  switch (state) {
    case "blocked":
    case "queued":
    case "running":
    case "done":
      return state;
    default:
      throw new TypeError(`an operation has no state "${state}"`);
  }
}

function resultOf(row: Row): StoredResult | undefined {
  const kind = optionalTextOf(row, "result_kind");
  if (kind === undefined) return undefined;
  return { kind: kind === "response" ? "response" : "error", value: bytesOf(row, "result") };
}

function requestIdOf(row: Row): StoredRequestId | undefined {
  const id = optionalTextOf(row, "request_id");
  if (id === undefined) return undefined;
  return {
    scope: unescapeNul(textOf(row, "request_scope")),
    id: unescapeNul(id),
    fingerprint: bytesOf(row, "request_fingerprint"),
    windowMs: numberOf(row, "request_window_ms"),
  };
}

function escaped(text: string | undefined): string | null {
  return text === undefined ? null : escapeNul(text);
}
