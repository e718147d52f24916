/** Many WaitOperation calls over one connection, by grpc-js, which costs less than what it calls. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { OperationSchema, Operations, WaitOperationRequestSchema } from "../../src/protos.js";
import { runHolder } from "../child-side.js";
import { waitRequest } from "./wait-request.js";

runHolder((port) => {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  return (name) =>
    new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        `/${Operations.typeName}/${Operations.method.waitOperation.name}`,
        (request: string) =>
          Buffer.from(toBinary(WaitOperationRequestSchema, waitRequest(request))),
        (bytes) => fromBinary(OperationSchema, bytes),
        name,
        (error, operation) => {
          if (operation?.done) resolve();
          else reject(error ?? new Error(`${name} was answered for before its end`));
        },
      );
    });
});
