/** Operations that last as long as their request says, kept for ten seconds after their end. */
import { createServer } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runServer } from "../child-side.js";
import { Print } from "./print.js";

const operations = createOperations({ retentionMs: 10_000 });
const print = operations.handle(Print, async ({ request: { pages }, signal, report }) => {
  report({ pagesPrinted: 1 });
  await sleep(pages, undefined, { signal });
  return { pages };
});
await runServer(
  createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Operations, operations.service).service(PrintService, { print }),
    }),
  ),
);
