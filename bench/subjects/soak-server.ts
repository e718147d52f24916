/** Operations that last as long as their request says, kept for ten seconds after their end. */
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runListening } from "../child-side.js";
import { Print } from "./print.js";

const operations = createOperations({ retentionMs: 10_000 });
const print = operations.handle(Print, async ({ request: { pages }, signal, report }) => {
  report({ pagesPrinted: 1 });
  await sleep(pages, undefined, { signal });
  return { pages };
});
const server = createServer({
  operations,
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});
const { port } = await server.listen();
runListening(port);
