/** A server over a SQLite file, in a process that a test kills: `path driver`. */
import { createServer } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { longRunning } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { createSqliteStore, type SqliteDriver } from "../../../src/store/sqlite/index.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../../gen/printing/v1/printing_pb.js";

const [, , path = "", wanted] = process.argv;
const driver: SqliteDriver = wanted === "node:sqlite" ? wanted : "libsql";

const operations = createOperations({
  store: await createSqliteStore({ path, driver }),
  maxLostAttempts: 100,
});
const Print = longRunning(PrintService.method.print, {
  response: PrintResponseSchema,
  metadata: PrintMetadataSchema,
});
const print = operations.handle(Print, async ({ attempt, report, request: { pages } }) => {
  report({ pagesPrinted: attempt });
  await sleep(pages);
  return { pages };
});
const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(Operations, operations.service).service(PrintService, { print }),
  }),
);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.send?.(address.port);
});
process.once("message", async () => {
  await operations.shutdown();
  process.exit(0);
});
