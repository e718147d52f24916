import { creationKey } from "./statement.js";

/**
 * Indexes for the lists of a caller that sees its own operations only, and the record of the
 * oldest program that may still run on a schema. `schema` is quoted already.
 *
 * - The indexes are ordered by an expression that no other index has. Ordered by
 *   `create_time`, the planner may walk `operations_by_parent` or `operations_by_time` instead
 *   and read the operations of all principals on the way.
 * - Services without principals do not pay for the indexes.
 * - `if not exists`: on a large table the operator creates them before, with `concurrently`.
 */
export function principalIndexes(schema: string): string {
  const key = creationKey("");
  const own = "delete_time is null and principal <> ''";
  return `
create index if not exists operations_by_principal on ${schema}.operations
  (principal, ${key}, name) where ${own};
create index if not exists operations_by_principal_and_parent on ${schema}.operations
  (principal, parent, ${key}, name) where ${own};
create index if not exists operations_open_by_principal on ${schema}.operations
  (principal, ${key}, name) where ${own} and end_time is null;

alter table ${schema}.migrations add column oldest_version integer not null default 1;
`;
}
