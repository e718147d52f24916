/** GetOperation by grpc-js with a handler of a few lines. */
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { runListening } from "../child-side.js";
import { operationsDefinition, type PlainOperation } from "./grpc-js-operations.js";
import { operation } from "./operation.js";

const { name, metadata, done, result } = operation;
if (metadata === undefined || result.case !== "response") throw new Error("not the one expected");
const plain: PlainOperation = {
  name,
  metadata: { type_url: metadata.typeUrl, value: metadata.value },
  done,
  response: { type_url: result.value.typeUrl, value: result.value.value },
};
const getOperation: handleUnaryCall<{ name: string }, PlainOperation> = (_, callback) =>
  callback(null, plain);

const server = new Server();
server.addService(operationsDefinition, { GetOperation: getOperation });
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  runListening(port);
});
