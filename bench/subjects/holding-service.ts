/** WaitOperation by our service with its memory store. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { createMemoryStore, createOperations } from "../../src/server/index.js";
import { answerHeld, runServer } from "../child-side.js";
import { Print, parent } from "./print.js";
import { waitSeconds } from "./wait-request.js";

// Those of earlier turns are still there: as many as a store keeps by default, and more.
const store = createMemoryStore({ maxOperations: 1_000_000 });
const operations = createOperations({ store, maxWaitMs: waitSeconds * 1000 });
const serve = connectNodeAdapter({
  routes: (router) => router.service(Operations, operations.service),
});
let names: string[] = [];
let waiting = 0;

await runServer(
  createServer((request, response) => {
    waiting += 1;
    serve(request, response);
  }),
  answerHeld({
    async begin(count) {
      names = [];
      waiting = 0;
      while (names.length < count) names.push((await operations.create(Print, { parent })).name);
      return names;
    },
    waiting: () => waiting,
    end: () => Promise.all(names.map((name) => operations.succeed(Print, name, { pages: 2 }))),
  }),
);
