/** GetOperation by our service, from its memory store. */
import { createServer } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { parseOperationName } from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { runServer } from "../child-side.js";
import { operation } from "./operation.js";

const { name, metadata, result } = operation;
if (metadata === undefined || result.case !== "response") throw new Error("not the one expected");

// Into the store and not through `start`, which would choose the name.
const store = createMemoryStore();
await store.insert({
  name,
  parent: parseOperationName(name)?.parent ?? "",
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
const operations = createOperations({ store });

await runServer(
  createServer(
    connectNodeAdapter({ routes: (router) => router.service(Operations, operations.service) }),
  ),
);
