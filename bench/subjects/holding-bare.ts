/** WaitOperation by a handler that keeps a promise for each call, and no store, in `createServer`. */
import { createServer } from "../../src/node/index.js";
import { type Operation, Operations } from "../../src/protos.js";
import { answerHeld, runListening } from "../child-side.js";
import { createBareOperations } from "./held-operations.js";

const held = createBareOperations();
const server = createServer({
  limits: { maxStreams: 20_000 },
  routes: (router) =>
    router.service(Operations, {
      waitOperation: ({ name }) => new Promise<Operation>((resolve) => held.wait(name, resolve)),
    }),
});
const { port } = await server.listen();
runListening(port, answerHeld(held));
