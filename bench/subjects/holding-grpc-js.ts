/** WaitOperation by a grpc-js server whose handler keeps the callback of each call. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import {
  type Operation,
  OperationSchema,
  Operations,
  type WaitOperationRequest,
  WaitOperationRequestSchema,
} from "../../src/protos.js";
import { answerHeld, runListening } from "../child-side.js";
import { createBareOperations } from "./held-operations.js";

const held = createBareOperations();
const server = new Server();
server.addService(
  {
    waitOperation: {
      path: `/${Operations.typeName}/${Operations.method.waitOperation.name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: (request: WaitOperationRequest) =>
        Buffer.from(toBinary(WaitOperationRequestSchema, request)),
      requestDeserialize: (bytes: Buffer) => fromBinary(WaitOperationRequestSchema, bytes),
      responseSerialize: (operation: Operation) =>
        Buffer.from(toBinary(OperationSchema, operation)),
      responseDeserialize: (bytes: Buffer) => fromBinary(OperationSchema, bytes),
    },
  },
  {
    waitOperation(
      { request }: ServerUnaryCall<WaitOperationRequest, Operation>,
      callback: sendUnaryData<Operation>,
    ) {
      held.wait(request.name, (operation) => callback(null, operation));
    },
  },
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
runListening(port, answerHeld(held));
