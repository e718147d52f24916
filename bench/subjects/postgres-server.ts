/**
 * A replica on PostgreSQL that runs operations: for as many milliseconds as their request says, or
 * until they are cancelled. It says when the end of each was written, or its signal aborted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { connectPostgres } from "../../src/store/postgres/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import type { Seen } from "../child-messages.js";
import { monotonicMs, runListening } from "../child-side.js";
import { databaseUrl } from "./postgres-url.js";
import { Print } from "./print.js";

let endedAtMs = new Map<string, number>();

const parts = await connectPostgres({ connectionString: databaseUrl() });
const operations = createOperations({
  ...parts,
  store: {
    ...parts.store,
    async finish(...finish) {
      const record = await parts.store.finish(...finish);
      const { name } = finish[0];
      if (record !== undefined && !endedAtMs.has(name)) endedAtMs.set(name, monotonicMs());
      return record;
    },
  },
});
const print = operations.handle(Print, async ({ name, signal, request: { pages } }) => {
  signal.addEventListener("abort", () => endedAtMs.set(name, monotonicMs()), { once: true });
  if (pages > 0) await sleep(pages, undefined, { signal });
  return { pages };
});

const server = createServer({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port, ({ ask }): Seen | undefined => {
  if (ask !== "seen") return undefined;
  const seen = { endedAtMs, requests: 0 };
  endedAtMs = new Map();
  return seen;
});
