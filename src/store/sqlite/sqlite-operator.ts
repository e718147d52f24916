import type { OperationRecord, OperatorAccess } from "../operation-store.js";
import type { OperationsOperator, RequeueOutcome } from "../operator.js";
import { unblocked } from "../record-transitions.js";
import { inspectionFromRow } from "../sql/inspection-from-row.js";
import { escapeNul, unescapeNul } from "../sql/nul-escape.js";
import { numberOf, optionalTimeOf, textOf } from "../sql/row.js";
import type { StoreTime } from "../store-time.js";
import type { WorkerIdentity } from "../worker-identity.js";
import type { GroupCommit } from "./group-commit.js";
import { operationColumns } from "./operation-row.js";
import type { OperationTable } from "./operation-table.js";
import type { SqliteDatabase } from "./sqlite-database.js";

/** Dependencies of an operator. */
export interface SqliteOperatorParts {
  readonly database: SqliteDatabase;
  readonly table: OperationTable;
  readonly group: GroupCommit;
  readonly time: StoreTime;
  readonly identity: WorkerIdentity;
  readonly access: OperatorAccess;
}

/** The owner and the claim time of the present attempt, which an earlier program did not note. */
const ownerColumns = `case when owner_attempt = attempt then owner end as owner,
  case when owner_attempt = attempt then claim_time end as claim_time`;

/** Creates an operator of the operations in a file, which this process alone runs. */
export function createSqliteOperator(parts: SqliteOperatorParts): OperationsOperator {
  const { database, table, group, time, identity, access } = parts;
  const startTimeMicros = time.now();

  /** The outcome, and the record to deliver if it is `requeued`. */
  const plan = (
    name: string,
    force: boolean,
  ): { readonly outcome: RequeueOutcome; readonly record?: OperationRecord } => {
    const record = table.find(name);
    if (record === undefined) return { outcome: { kind: "not-found" } };
    if (record.state === "done") return { outcome: { kind: "done" } };
    if (record.external) return { outcome: { kind: "external" } };
    if (record.state === "queued") return { outcome: { kind: "already-queued" } };
    if (record.state === "blocked") {
      const [head] = table.openOfResource(record.resourceKey ?? "", 1);
      const changes = head && unblocked(head, time.next(head.updateTimeMicros));
      if (head?.name !== name || changes === undefined) {
        return { outcome: { kind: "blocked", by: head?.name ?? "" } };
      }
      return { outcome: { kind: "requeued" }, record: table.change(head, changes) };
    }
    if (force) return { outcome: { kind: "requeued" }, record };
    return { outcome: { kind: "running", owner: identity.id, renewTimeMicros: null } };
  };

  return {
    inspect: (name) =>
      group.read(() => {
        const [row] = database.rows(
          `select ${operationColumns}, ${ownerColumns}, lost_attempts,
            case when owner = ? then ? end as seen_time
          from operations where name = ? and state <> 'gone'`,
          identity.id,
          time.now(),
          escapeNul(name),
        );
        return row && inspectionFromRow(row, null);
      }, undefined),
    async requeue(name, force) {
      const { outcome, record } = await group.run(() => plan(name, force), undefined);
      if (record !== undefined) await access.deliverAgain(record);
      return outcome;
    },
    workers: () =>
      group.read(() => {
        const rows = database.rows(
          `select name, method, attempt, ${ownerColumns} from operations
          where external = 0 and end_time is null and state = 'running' order by create_time`,
        );
        return [
          {
            ...identity,
            startTimeMicros,
            ...{ seenTimeMicros: time.now(), stopTimeMicros: null, leaseMs: null, isSilent: false },
            running: rows.map((row) => ({
              name: unescapeNul(textOf(row, "name")),
              method: unescapeNul(textOf(row, "method")),
              attempt: numberOf(row, "attempt"),
              claimTimeMicros: optionalTimeOf(row, "claim_time") ?? null,
              renewTimeMicros: null,
            })),
          },
        ];
      }, undefined),
  };
}
