import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { StatusSchema } from "../../protos.js";
import type { OperationRecord } from "../operation-store.js";
import type {
  InspectedDelivery,
  InspectedPayload,
  LossCause,
  LostAttempt,
  OperationInspection,
} from "../operator.js";
import { recordFromRow } from "./record-from-row.js";
import { isRow, optionalTextOf, optionalTimeOf, type Row, timeOf } from "./row.js";

/**
 * Returns the inspection of a row that `recordFromRow` reads and that has the columns `owner`,
 * `claim_time`, `seen_time` and `lost_attempts`.
 */
export function inspectionFromRow(
  row: Row,
  delivery: InspectedDelivery | null,
): OperationInspection {
  const record = recordFromRow(row);
  const { request, metadata, checkpoint, result, requestId } = record;
  return {
    name: record.name,
    parent: record.parent,
    method: record.method,
    principal: record.principal,
    external: record.external,
    state: record.state,
    attempt: record.attempt,
    handovers: record.handovers,
    losses: record.losses,
    owner: optionalTextOf(row, "owner") ?? null,
    claimTimeMicros: optionalTimeOf(row, "claim_time") ?? null,
    ownerSeenTimeMicros: optionalTimeOf(row, "seen_time") ?? null,
    lostAttempts: lostAttemptsOf(row.lost_attempts),
    delivery: isOpen(record) ? delivery : null,
    requestId: requestId?.id ?? null,
    resourceKey: record.resourceKey ?? null,
    traceContext: record.traceContext ?? null,
    retentionMs: record.retentionMs,
    createTimeMicros: record.createTimeMicros,
    updateTimeMicros: record.updateTimeMicros,
    deadlineTimeMicros: record.deadlineTimeMicros ?? null,
    cancelRequestTimeMicros: record.cancelRequestTimeMicros ?? null,
    endTimeMicros: record.endTimeMicros ?? null,
    expireTimeMicros: record.expireTimeMicros ?? null,
    deleteTimeMicros: record.deleteTimeMicros ?? null,
    error: result?.kind === "error" ? errorOf(result.value) : null,
    request: { typeUrl: "", bytes: request.length },
    metadata: metadata === undefined ? null : anyOf(metadata),
    checkpoint: checkpoint === undefined ? null : { typeUrl: "", bytes: checkpoint.length },
    response: result?.kind === "response" ? anyOf(result.value) : null,
  };
}

/** Whether a process runs the operation, or will. */
function isOpen({ state, external }: OperationRecord): boolean {
  return !external && (state === "queued" || state === "running");
}

function errorOf(bytes: Uint8Array): OperationInspection["error"] {
  const { code, message } = fromBinary(StatusSchema, bytes);
  return { code, message };
}

function anyOf(bytes: Uint8Array): InspectedPayload {
  const { typeUrl, value } = fromBinary(AnySchema, bytes);
  return { typeUrl, bytes: value.length };
}

/** Drivers return a JSON column as text or as the parsed value. */
function lostAttemptsOf(column: unknown): LostAttempt[] {
  const entries: unknown = typeof column === "string" ? JSON.parse(column) : column;
  return Array.isArray(entries) ? entries.filter(isRow).map(lostAttemptOf) : [];
}

const causes: ReadonlySet<string> = new Set<LossCause>([
  "no-sign-of-life",
  "process-ended",
  "shutdown",
  "event-loop-stalled",
  "database-unreachable",
  "lease-expired",
  "requeued",
  "unknown",
]);

function isCause(text: string): text is LossCause {
  return causes.has(text);
}

function lostAttemptOf(entry: Row): LostAttempt {
  const [cause = "", ...detail] = (optionalTextOf(entry, "cause") ?? "").split(" ");
  return {
    attempt: timeOf(entry, "attempt"),
    owner: optionalTextOf(entry, "owner") ?? null,
    claimTimeMicros: optionalTimeOf(entry, "claimTimeMicros") ?? null,
    lossTimeMicros: timeOf(entry, "lossTimeMicros"),
    seenTimeMicros: optionalTimeOf(entry, "seenTimeMicros") ?? null,
    cause: isCause(cause) ? cause : "unknown",
    detail: detail.join(" "),
  };
}
