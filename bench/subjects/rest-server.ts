/** GetOperation by a handler that returns a constant Operation: over REST and over Connect, on one port. */
import { createRegistry } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { runListening } from "../child-side.js";
import { operation } from "./operation.js";

const rules = operationsHttpRules({ parent: "projects/*/locations/*" });

const server = createServer({
  routes: (router) => router.service(Operations, { getOperation: () => operation }),
  handlers: (router) => [createRestHandler(router, { rules })],
  jsonOptions: { registry: createRegistry(StructSchema) },
});
const { port } = await server.listen();
runListening(port);
