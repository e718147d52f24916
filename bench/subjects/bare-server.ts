/** GetOperation by a Connect handler that returns a constant Operation: the cost of any service. */
import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import { runServer } from "../child-side.js";
import { operation } from "./operation.js";

await runServer(
  createServer(
    connectNodeAdapter({
      routes: (router) => router.service(Operations, { getOperation: () => operation }),
    }),
  ),
);
