/** GetOperation by our gRPC transport. */
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { runClient } from "../child-side.js";
import { operation } from "./operation.js";

const { name } = operation;

runClient((baseUrl) => {
  const client = createClient(Operations, createGrpcTransport({ baseUrl }));
  return {
    call: () => client.getOperation({ name }),
    answer: async () => toBinary(OperationSchema, await client.getOperation({ name })),
  };
});
