/** GetOperation by grpc-js's own client. */
import { Client, credentials } from "@grpc/grpc-js";
import { runClient } from "../child-side.js";
import { operationsDefinition } from "./grpc-js-operations.js";
import { operation } from "./operation.js";

const { name } = operation;
const { GetOperation: method } = operationsDefinition;
if (method === undefined) throw new Error("the protos have no GetOperation");

runClient((baseUrl) => {
  const client = new Client(new URL(baseUrl).host, credentials.createInsecure());
  const call = <Answer>(read: (bytes: Buffer) => Answer) =>
    new Promise<Answer>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        read,
        { name },
        (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
      );
    });
  return {
    call: () => call(method.responseDeserialize),
    answer: () => call((bytes) => new Uint8Array(bytes)),
  };
});
