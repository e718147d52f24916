/** One row inserted and updated by the bare driver. */
import { runClient } from "../child-side.js";
import { openPostgresRows } from "./postgres-rows.js";

const rows = await openPostgresRows();

runClient(() => ({
  call: async () => rows.finish(await rows.insert()),
  answer: async () => new Uint8Array(),
}));
