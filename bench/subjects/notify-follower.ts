/** The bare driver: a NOTIFY by one connection, heard by another of the same process. */
import pg from "pg";
import { monotonicMs, runFollower } from "../child-side.js";
import { databaseUrl } from "./postgres-url.js";

const connectionString = databaseUrl();
const listener = new pg.Client({ connectionString });
await listener.connect();
const waiting = new Map<string, () => void>();
listener.on("notification", ({ payload = "" }) => waiting.get(payload)?.());
await listener.query("listen bench");
const pool = new pg.Pool({ connectionString, max: 5 });
let count = 0;

runFollower(() => async () => {
  count += 1;
  const payload = String(count);
  const heard = new Promise<void>((resolve) => waiting.set(payload, resolve));
  const since = monotonicMs();
  await pool.query("select pg_notify('bench', $1)", [payload]);
  await heard;
  waiting.delete(payload);
  return { atMs: monotonicMs(), since };
});
