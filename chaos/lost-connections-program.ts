import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { createOperations } from "../src/server/index.js";
import { connectPostgres } from "../src/store/postgres/index.js";
import { Print } from "../test/support/print-server.js";
import type { StartsMessage } from "./lost-connections.js";

// The process whose connections are ended, to be forked: lost-connections-program.ts DATABASE_URL
const [connectionString = ""] = process.argv.slice(2);
const inFlight = 20;

const parts = await connectPostgres({ connectionString, maxConnections: 10 });
const operations = createOperations({
  ...parts,
  pageTokenKey: new Uint8Array(32),
  // Failed statements are the point of this program.
  log: () => undefined,
});
operations.handle(Print, (op) => ({ pages: op.request.pages }));

let isStopping = false;
let started = 0;
let unavailable = 0;
const otherErrors = new Set<string>();

const start = async () => {
  try {
    await operations.start(Print, { pages: 1 });
    started += 1;
  } catch (cause) {
    const { code, message } = ConnectError.from(cause);
    if (code === Code.Unavailable) unavailable += 1;
    else otherErrors.add(message);
    await sleep(1);
  }
};

const keepStarting = async () => {
  while (!isStopping) await start();
};

const allEnded = async () => {
  for (;;) {
    const counts = await parts.store.counts().catch(() => undefined);
    if (counts !== undefined && counts.open.length === 0) return;
    await sleep(200);
  }
};

process.on("message", () => {
  isStopping = true;
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
await Promise.all(Array.from({ length: inFlight }, keepStarting));
await allEnded();
const message: StartsMessage = { started, unavailable, otherErrors: [...otherErrors] };
process.send?.(message);
