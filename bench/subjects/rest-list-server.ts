/** ListOperations of 1,000 operations by our service and its memory store, over REST. */
import { createRegistry } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { runListening } from "../child-side.js";
import { listedOperations } from "./listed-operations.js";
import { storeOf } from "./store-of.js";

const operations = createOperations({ store: await storeOf(listedOperations) });
const rules = operationsHttpRules({ parent: "projects/*/locations/*" });
const registry = createRegistry(StructSchema);

const server = createServer({
  routes: (router) => router.service(Operations, operations.service),
  handlers: (router) => [createRestHandler(router, { rules, registry })],
});
const { port } = await server.listen();
runListening(port);
