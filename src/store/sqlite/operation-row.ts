import type { OperationRecord } from "../operation-store.js";
import type { RecordChanges } from "../record-transitions.js";
import { escapeNul } from "../sql/nul-escape.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** The columns of an operation, with functions that read their values of a record. */
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
  traceparent: (record) => escaped(record.traceContext?.traceparent),
  tracestate: (record) => escaped(record.traceContext?.tracestate),
  result_kind: (record) => record.result?.kind ?? null,
  result: (record) => record.result?.value ?? null,
  metadata: (record) => record.metadata ?? null,
  checkpoint: (record) => record.checkpoint ?? null,
  request: (record) => record.request,
};

const columns = Object.keys(valueByColumn);

/** The columns that `recordFromRow` reads. */
export const operationColumns = columns.join(", ");

/** Writes a new row: `insertValues` of its record. */
export const insertStatement = `insert into operations (${operationColumns}, request_window_end_time)
  values (${columns.map(() => "?").join(", ")}, ?) on conflict do nothing`;

/** @param requestWindowEndMicros The end of the window; undefined if the record has no request id. */
export function insertValues(
  record: OperationRecord,
  requestWindowEndMicros: number | undefined,
): SqliteValue[] {
  return [...valuesOf(record, columns), requestWindowEndMicros ?? null];
}

/** Columns that change while the work runs. No index has them. */
const progressColumns = [
  "state",
  "attempt",
  "handovers",
  "losses",
  "update_time",
  "metadata",
  "checkpoint",
];

/** All columns that change. */
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

/** How many lost attempts of an operation are kept. */
const maxLostAttempts = 20;

/**
 * Writes a claim, and the loss of the attempt before it if that still ran. The first process that
 * opens the file excludes all others, so another owner has ended.
 */
const claimStatement = `update operations set
  ${progressColumns.map((column) => `${column} = ?`).join(", ")},
  lost_attempts = case when state <> 'running' then lost_attempts else json_insert(
    case when json_array_length(coalesce(lost_attempts, '[]')) < ${maxLostAttempts}
      then coalesce(lost_attempts, '[]') else json_remove(lost_attempts, '$[0]') end,
    '$[#]',
    json_object('attempt', attempt,
      'owner', case when owner_attempt = attempt then owner end,
      'claimTimeMicros', case when owner_attempt = attempt then claim_time end,
      'lossTimeMicros', ?,
      'cause', case when owner_attempt is not attempt then 'unknown'
        when owner = ? then 'requeued' else 'process-ended' end)
  ) end,
  owner = ?, owner_attempt = ?, claim_time = ?
where create_time = ?`;

const progressStatement = updateStatement(progressColumns);
const changeStatement = updateStatement(changingColumns);

/**
 * Returns the statement that writes the changes to a record, and its values; `record` has them
 * already.
 *
 * @param owner The process that claims operations.
 */
export function updateOf(
  record: OperationRecord,
  changes: RecordChanges,
  owner: string,
): [statement: string, ...values: SqliteValue[]] {
  if (changes.attempt !== undefined) {
    const { attempt, updateTimeMicros, createTimeMicros } = record;
    return [
      claimStatement,
      ...valuesOf(record, progressColumns),
      ...[updateTimeMicros, owner, owner, attempt, updateTimeMicros, createTimeMicros],
    ];
  }
  const isProgress = !(
    "deadlineTimeMicros" in changes ||
    "endTimeMicros" in changes ||
    "deleteTimeMicros" in changes
  );
  const [statement, columnsToWrite] = isProgress
    ? [progressStatement, progressColumns]
    : [changeStatement, changingColumns];
  return [statement, ...valuesOf(record, columnsToWrite), record.createTimeMicros];
}

function updateStatement(changing: readonly string[]): string {
  const assignments = changing.map((column) => `${column} = ?`).join(", ");
  return `update operations set ${assignments} where create_time = ?`;
}

function valuesOf(record: OperationRecord, wanted: readonly string[]): SqliteValue[] {
  return wanted.map((column) => valueByColumn[column]?.(record) ?? null);
}

function escaped(text: string | undefined): string | null {
  return text === undefined ? null : escapeNul(text);
}
