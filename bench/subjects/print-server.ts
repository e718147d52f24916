/** Operations that last as long as their request says, by our server with its memory store. */
import { createServer } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import type { Seen } from "../child-messages.js";
import { monotonicMs, runServer } from "../child-side.js";
import { Print } from "./print.js";

let endedAtMs = new Map<string, number>();
let requests = 0;

const store = createMemoryStore();
const operations = createOperations({
  store: {
    ...store,
    async finish(...finish) {
      const record = await store.finish(...finish);
      if (record !== undefined) endedAtMs.set(record.name, monotonicMs());
      return record;
    },
  },
});
const print = operations.handle(Print, async ({ request: { pages } }) => {
  await sleep(pages);
  return { pages };
});
const serve = connectNodeAdapter({
  routes: (router) =>
    router.service(Operations, operations.service).service(PrintService, { print }),
});

await runServer(
  createServer((request, response) => {
    if (request.url.startsWith(`/${Operations.typeName}/`)) requests += 1;
    serve(request, response);
  }),
  ({ ask }): Seen | undefined => {
    if (ask !== "seen") return undefined;
    const seen = { endedAtMs, requests };
    endedAtMs = new Map();
    requests = 0;
    return seen;
  },
);
