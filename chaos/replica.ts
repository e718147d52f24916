import { setTimeout as sleep } from "node:timers/promises";
import { Operations } from "../src/protos.js";
import { createOperations } from "../src/server/index.js";
import { connectPostgres } from "../src/store/postgres/index.js";
import { type PrintRequest, PrintService } from "../test/gen/printing/v1/printing_pb.js";
import { Print, type PrintWork } from "../test/support/print-server.js";
import { startServer } from "../test/support/servers.js";

// One process of the run, to be forked: replica.ts DATABASE_URL worker|api
const [connectionString = "", role] = process.argv.slice(2);

const operations = createOperations({
  ...(await connectPostgres({ connectionString, maxConcurrent: 20 })),
  pageTokenKey: new Uint8Array(32),
  // Faults are what this is about: they are counted by the audit, not read.
  log: () => undefined,
});

/** As many steps as there are pages; the response says which attempt made it. */
const work: PrintWork = async (op) => {
  for (let page = 1; page <= op.request.pages; page += 1) {
    op.report({ pagesPrinted: page });
    await sleep(20, undefined, { signal: op.signal }).catch(() => op.signal.throwIfAborted());
  }
  return { pages: op.request.pages };
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
process.send?.({ port: server.port });
