import type { DispatchedOperation } from "../dispatcher.js";
import type { Transaction } from "../operation-store.js";
import { unescapeNul } from "../sql/nul-escape.js";
import { booleanOf, textOf } from "../sql/row.js";
import type { Database } from "./database.js";

/** The two sides that a reconciliation compares. Schemas are unquoted. */
export interface ReconcilerParts {
  readonly database: Database;
  readonly operationsSchema: string;
  readonly queueSchema: string;
  /** Queues operations in a transaction. */
  readonly dispatch: (
    operations: readonly DispatchedOperation[],
    transaction: Transaction,
  ) => Promise<void>;
}

/** How many operations one pass requeues at most. */
const maxRequeued = 100;

/**
 * Returns a function that dispatches the operations of these methods that are queued or running
 * and have no job, and resolves with them. Nothing of this package removes such a job, but a
 * dump of one schema, a new installation of pg-boss or a cleanup by hand does.
 *
 * A job and its operation change together or in an order that leaves no open operation without
 * a job, so one statement's snapshot is enough to decide. The advisory lock keeps two processes
 * from dispatching the same operation.
 */
export function createReconciler(
  parts: ReconcilerParts,
): (methods: readonly string[]) => Promise<readonly DispatchedOperation[]> {
  const { database, operationsSchema, queueSchema, dispatch } = parts;
  return (methods) =>
    database.transaction(async (transaction) => {
      const within = { transaction };
      const [lock] = await database.rows(
        "select pg_try_advisory_xact_lock(hashtextextended($1, 2)) as is_locked",
        [`${operationsSchema} ${queueSchema}`],
        within,
      );
      if (lock === undefined || !booleanOf(lock, "is_locked")) return [];
      const rows = await database.rows(
        `select o.name, o.method, case when o.principal = '' then o.parent else o.principal end as tenant
        from "${operationsSchema}".operations o
        where o.delete_time is null and o.end_time is null and o.state in ('queued', 'running')
          and not o.external and o.method = any($1::text[])
          and not exists (
            select from ${queueSchema}.job j where j.name = any($1::text[]) and j.name = o.method
              and j.state in ('created', 'retry', 'active')
              and replace(j.data ->> 'name', '\\', '\\\\') = o.name)
        order by o.create_time limit $2`,
        [methods, maxRequeued],
        within,
      );
      const orphans = rows.map((row) => ({
        name: unescapeNul(textOf(row, "name")),
        method: textOf(row, "method"),
        tenant: unescapeNul(textOf(row, "tenant")),
      }));
      if (orphans.length > 0) await dispatch(orphans, transaction);
      return orphans;
    });
}
