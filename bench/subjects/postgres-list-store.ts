/** Pages of a PostgreSQL table of operations, by our store. It fills the table, by one statement. */
import { createPostgresStore, migrate } from "../../src/store/postgres/index.js";
import { withPreparedStatements } from "../../src/store/postgres/prepared-statements.js";
import type { Fill, FillOutcome } from "../child-messages.js";
import { runStored } from "../child-side.js";
import { listAgain, pageSize, parent, pool } from "./postgres-list-query.js";

// The settings of `connectPostgres`.
const store = createPostgresStore({ pool: withPreparedStatements(pool) });

async function fill({ operations, openEvery, wireBytes }: Fill): Promise<FillOutcome> {
  await migrate(pool);
  await pool.query(
    `insert into longrunning.operations (name, parent, method, principal, external, state, request,
      metadata, result_kind, result, retention_ms, create_time, update_time, end_time, expire_time)
    select $1 || '/operations/' || lpad(i::text, 36, '0'), $1, 'bench.v1.BenchService/Run', '', false,
      case when is_open then 'queued' else 'done' end, '', payload,
      case when is_open then null else 'response' end, case when is_open then null else payload end,
      2592000000, time, time, case when is_open then null else time end,
      case when is_open then null else time + interval '30 days' end
    from generate_series(1, $2::integer) i,
      lateral (select i % $3::integer = 0 as is_open,
        now() - ($2::integer - i) * interval '1 millisecond' as time,
        convert_to(repeat('x', $4::integer), 'UTF8') as payload) as given`,
    [parent, operations, openEvery, Math.floor(wireBytes / 2)],
  );
  await pool.query("vacuum analyze longrunning.operations");
  // It is in the server's memory, not in this process.
  return { heldBytes: 0, wireBytes };
}

runStored(async (message) => {
  if (message.ask === "fill") return fill(message.argument);
  if (message.ask !== "list") throw new Error(`a store is not asked for ${message.ask}`);
  const filter =
    message.argument.wanted === "open" ? ({ kind: "done", value: false } as const) : undefined;
  return listAgain(message.argument, async (after) => {
    const query = { parent, principal: undefined, filter, after, limit: pageSize };
    return (await store.list(query)).records.length;
  });
});
