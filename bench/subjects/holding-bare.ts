/** WaitOperation by a Connect handler that keeps a promise for each call, and no store. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Operation, Operations } from "../../src/protos.js";
import { answerHeld, runServer } from "../child-side.js";
import { createBareOperations } from "./held-operations.js";

const held = createBareOperations();

await runServer(
  createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Operations, {
          waitOperation: ({ name }) =>
            new Promise<Operation>((resolve) => held.wait(name, resolve)),
        }),
    }),
  ),
  answerHeld(held),
);
