/** Starts an operation and waits for its end: two calls by our gRPC transport. */
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runClient } from "../child-side.js";
import { parent } from "./print.js";
import { waitRequest } from "./wait-request.js";

runClient((baseUrl) => {
  const transport = createGrpcTransport({ baseUrl });
  const operations = createClient(Operations, transport);
  const printer = createClient(PrintService, transport);
  const call = async () => {
    const { name } = await printer.print({ parent, pages: 2 });
    const operation = await operations.waitOperation(waitRequest(name));
    if (!operation.done) throw new Error(`${name} was answered for before its end`);
    return operation;
  };
  return {
    call,
    // All but the name, which is a new one each time.
    answer: async () => toBinary(OperationSchema, { ...(await call()), name: "" }),
  };
});
