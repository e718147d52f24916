/** One row inserted by the bare driver. */
import { runClient } from "../child-side.js";
import { openPostgresRows } from "./postgres-rows.js";

const rows = await openPostgresRows();

runClient(() => ({ call: () => rows.insert(), answer: async () => new Uint8Array() }));
