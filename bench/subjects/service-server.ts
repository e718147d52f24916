/** GetOperation by our service, from its memory store. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { runServer } from "../child-side.js";
import { operation } from "./operation.js";
import { storeOf } from "./store-of.js";

const operations = createOperations({ store: await storeOf([operation]) });

await runServer(
  createServer(
    connectNodeAdapter({ routes: (router) => router.service(Operations, operations.service) }),
  ),
);
