/**
 * WaitOperation by a handler that keeps a promise for each call until its client goes away, and no
 * store, in `createServer`.
 */
import { createServer } from "../../src/node/index.js";
import { type Operation, Operations } from "../../src/protos.js";
import { answerHeld, runListening } from "../child-side.js";
import { createBareOperations } from "./held-operations.js";

const held = createBareOperations();
const server = createServer({
  limits: { maxStreams: 20_000 },
  routes: (router) =>
    router.service(Operations, {
      waitOperation: ({ name }, { signal }) =>
        new Promise<Operation>((resolve, reject) => {
          const leave = () => reject(signal.reason);
          signal.addEventListener("abort", leave);
          held.wait(name, (operation) => {
            signal.removeEventListener("abort", leave);
            resolve(operation);
          });
        }),
    }),
});
const { port } = await server.listen();
runListening(port, answerHeld(held));
