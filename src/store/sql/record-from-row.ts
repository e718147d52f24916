import type {
  OperationRecord,
  OperationState,
  StoredRequestId,
  StoredResult,
  TraceContext,
} from "../operation-store.js";
import { unescapeNul } from "./nul-escape.js";
import {
  booleanOf,
  bytesOf,
  numberOf,
  optionalBytesOf,
  optionalNumberOf,
  optionalTextOf,
  optionalTimeOf,
  type Row,
  textOf,
  timeOf,
} from "./row.js";

/**
 * Returns the record in a row with a column for each of its fields. Times are in microseconds.
 *
 * @throws TypeError if it has not.
 */
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
    traceContext: traceContextOf(row),
    createTimeMicros: timeOf(row, "create_time"),
    updateTimeMicros: timeOf(row, "update_time"),
    deadlineTimeMicros: optionalTimeOf(row, "deadline_time"),
    cancelRequestTimeMicros: optionalTimeOf(row, "cancel_request_time"),
    endTimeMicros: optionalTimeOf(row, "end_time"),
    expireTimeMicros: optionalTimeOf(row, "expire_time"),
    deleteTimeMicros: optionalTimeOf(row, "delete_time"),
  };
}

/** @throws TypeError if the row's state is not a state of operations. */
export function stateOf(row: Row): OperationState {
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

function traceContextOf(row: Row): TraceContext | undefined {
  const traceparent = optionalTextOf(row, "traceparent");
  if (traceparent === undefined) return undefined;
  const tracestate = optionalTextOf(row, "tracestate");
  return {
    traceparent: unescapeNul(traceparent),
    tracestate: tracestate === undefined ? undefined : unescapeNul(tracestate),
  };
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
