/** Starts operations whose work is over at once and waits for each, by our gRPC transport. */
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runClient } from "../child-side.js";

runClient((baseUrl) => {
  const transport = createGrpcTransport({ baseUrl });
  const printer = createClient(PrintService, transport);
  const operations = createClient(Operations, transport);
  const runOne = async () => {
    const { name } = await printer.print({ pages: 0 });
    const operation = await operations.waitOperation({ name });
    if (!operation.done) throw new Error(`${name} did not end`);
    return operation;
  };
  return { call: runOne, answer: async () => toBinary(OperationSchema, await runOne()) };
});
