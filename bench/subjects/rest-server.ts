/** GetOperation by a handler that has the Operation at hand: over REST and over Connect, on one port. */
import { createServer } from "node:http";
import { createRegistry } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Operations } from "../../src/protos.js";
import {
  createNodeListener,
  createRestHandler,
  type NodeListener,
  operationsHttpRules,
} from "../../src/rest/index.js";
import { runServer } from "../child-side.js";
import { operation } from "./operation.js";

const rules = operationsHttpRules({ parent: "projects/*/locations/*" });
let overRest: NodeListener | undefined;

const overConnect = connectNodeAdapter({
  routes(router: ConnectRouter) {
    router.service(Operations, { getOperation: () => operation });
    overRest = createNodeListener(createRestHandler(router, { rules }));
  },
  jsonOptions: { registry: createRegistry(StructSchema) },
  // What is none of the RPCs' paths.
  fallback: (request, response) => overRest?.(request, response),
});

await runServer(createServer(overConnect));
