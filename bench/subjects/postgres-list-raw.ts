/** Lists the pages by the bare driver, with a keyset query written by hand. */
import { runStored } from "../child-side.js";
import { listAgain, pageSize, parent, pool } from "./postgres-list-query.js";

runStored(async (message) => {
  if (message.ask !== "list") throw new Error(`this process is not asked for ${message.ask}`);
  const open = message.argument.wanted === "open" ? "and end_time is null" : "";
  return listAgain(message.argument, async (after) => {
    const values: unknown[] = [parent, pageSize];
    if (after !== undefined) values.push(after.createTimeMicros, after.name);
    const { rows } = await pool.query(
      `select name, method, state, metadata, result_kind, result, create_time, end_time
      from longrunning.operations where parent = $1 and delete_time is null ${open}
      ${after === undefined ? "" : "and (create_time, name) < (longrunning.time_of($3), $4)"}
      order by create_time desc, name desc limit $2`,
      values,
    );
    return rows.length;
  });
});
