import { setTimeout as sleep } from "node:timers/promises";
import { Operations } from "../src/protos.js";
import { createOperations, createShards } from "../src/server/index.js";
import { connectPostgres } from "../src/store/postgres/index.js";
import { type PrintRequest, PrintService } from "../test/gen/printing/v1/printing_pb.js";
import { Print, type PrintWork } from "../test/support/print-server.js";
import { startServer } from "../test/support/servers.js";
import { markedPages } from "./marked-pages.js";

// One process of the run, to be forked: replica.ts worker|api DATABASE_URL...
const [role, ...urls] = process.argv.slice(2);
const parts = await Promise.all(
  urls.map((connectionString) =>
    connectPostgres({
      connectionString,
      maxConcurrent: 20,
      observer: { staleWrite: () => process.send?.({ kind: "stale-write" }) },
    }),
  ),
);

const operations = createOperations({
  ...(parts.length === 1 ? parts[0] : createShards(parts)),
  pageTokenKey: new Uint8Array(32),
  // The audit counts the faults.
  log: () => undefined,
});

/**
 * As many steps as there are pages. Each report, and the response, says which attempt made it.
 * Every other operation does not heed its signal: when its process goes on after a pause it
 * reports for and ends an operation that another attempt has by then.
 */
const work: PrintWork = async (op) => {
  const heeds = op.request.pages % 2 === 0;
  for (let page = 1; page <= op.request.pages; page += 1) {
    op.report({ pagesPrinted: op.attempt });
    await sleep(20, undefined, heeds ? { signal: op.signal } : {}).catch(() =>
      op.signal.throwIfAborted(),
    );
  }
  return { pages: markedPages(op.request.pages, op.attempt) };
};

const server = await startServer({
  routes: (router) => {
    const print =
      role === "worker"
        ? operations.handle(Print, work)
        : (request: PrintRequest) => operations.start(Print, request);
    router.service(PrintService, { print });
    router.service(Operations, operations.service);
  },
});
// The run has ended, in whichever way.
process.on("disconnect", () => process.exit());
process.send?.({ kind: "listening", port: server.port });
