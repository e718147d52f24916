/** ListOperations of 1,000 operations by our service and its memory store, over REST. */
import { createRegistry, toBinary } from "@bufbuild/protobuf";
import { AnySchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { createServer } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { runListening } from "../child-side.js";
import { listedOperations, listParent } from "./listed-operations.js";

const store = createMemoryStore();
for (const { name, metadata, result } of listedOperations) {
  if (metadata === undefined || result.case !== "response") throw new Error("not as expected");
  await store.insert({
    name,
    parent: listParent,
    method: "bench.v1.BenchService/Run",
    principal: "",
    external: false,
    request: new Uint8Array(),
    metadata: toBinary(AnySchema, metadata),
    result: { kind: "response", value: toBinary(AnySchema, result.value) },
    retentionMs: 24 * 60 * 60 * 1000,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
  });
}
const operations = createOperations({ store });
const rules = operationsHttpRules({ parent: "projects/*/locations/*" });
const registry = createRegistry(StructSchema);

const server = createServer({
  routes: (router) => router.service(Operations, operations.service),
  handlers: (router) => [createRestHandler(router, { rules, registry })],
});
const { port } = await server.listen();
runListening(port);
