/** Starts operations without waiting for them, by our gRPC transport. */
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema } from "../../src/protos.js";
import { PrintService } from "../../test/gen/printing/v1/printing_pb.js";
import { runClient } from "../child-side.js";

runClient((baseUrl) => {
  const printer = createClient(PrintService, createGrpcTransport({ baseUrl }));
  const start = () => printer.print({ pages: 0 });
  return { call: start, answer: async () => toBinary(OperationSchema, await start()) };
});
