/** GetOperation by a Connect handler that has the Operation at hand: what any service costs. */
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
