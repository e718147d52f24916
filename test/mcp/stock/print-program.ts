/** The print service as tools, over a SQLite file, in a process that tests kill: `path port`. */
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { longRunning } from "../../../src/index.js";
import { createMcpHandler } from "../../../src/mcp/index.js";
import { createServer } from "../../../src/node/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { KindsService } from "../../gen/kinds/v1/kinds_pb.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../../gen/printing/v1/printing_pb.js";

const [, , path = "", port = "0"] = process.argv;

const operations = createOperations({ store: await createSqliteStore({ path }) });
const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});

/** Prints a page a second, and goes on after the last page that it noted before it was killed. */
const print = operations.handle(Print, async (operation) => {
  const { pages } = operation.request;
  if (pages < 0) throw new ConnectError("there are no such pages", Code.FailedPrecondition);
  for (let printed = operation.checkpoint?.[0] ?? 0; printed < pages; ) {
    await sleep(1000, undefined, { signal: operation.signal });
    printed += 1;
    operation.report({ pagesPrinted: printed });
    await operation.saveCheckpoint(Uint8Array.of(printed));
  }
  return { pages };
});

const server = createServer({
  operations,
  routes(router) {
    router.service(Operations, operations.service);
    router.service(PrintService, { print });
    // Its schemas have fields of every kind.
    router.service(KindsService, { put: (request) => request, query: (request) => request });
  },
  handlers: (router) => [
    createMcpHandler(router, {
      operations,
      methods: ({ name, parent }) => name === "Print" || parent === KindsService,
    }),
  ],
});
const listening = await server.listen({ host: "127.0.0.1", port: Number(port) });
process.send?.(listening.port);
process.once("disconnect", () => process.exit());
