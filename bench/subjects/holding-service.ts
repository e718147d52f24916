/** WaitOperation by our service with its memory store, in `createServer`. */
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { answerHeld, runListening } from "../child-side.js";
import { Print, parent } from "./print.js";
import { waitSeconds } from "./wait-request.js";

// Those of earlier turns are still there: as many as a store keeps by default, and more.
const store = createMemoryStore({ maxOperations: 1_000_000 });
let names: string[] = [];
let waiting = 0;
const operations = createOperations({
  store,
  maxWaitMs: waitSeconds * 1000,
  observer: {
    waitersChanged(count) {
      waiting = count;
    },
  },
});

const server = createServer({
  limits: { maxStreams: 20_000 },
  routes: (router) => router.service(Operations, operations.service),
});
const { port } = await server.listen();
runListening(
  port,
  answerHeld({
    async begin(count) {
      names = [];
      while (names.length < count) names.push((await operations.create(Print, { parent })).name);
      return names;
    },
    waiting: () => waiting,
    end: () => Promise.all(names.map((name) => operations.succeed(Print, name, { pages: 2 }))),
  }),
);
