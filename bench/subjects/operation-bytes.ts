import { create, toBinary } from "@bufbuild/protobuf";
import { GetOperationRequestSchema, OperationSchema, Operations } from "../../src/protos.js";
import { operation } from "./operation.js";

/** GetOperation as it goes over the wire, without anything that reads or writes messages. */
export const getOperationPath = `/${Operations.typeName}/${Operations.method.getOperation.name}`;

export const request = enveloped(
  toBinary(GetOperationRequestSchema, create(GetOperationRequestSchema, { name: operation.name })),
);

export const answer = enveloped(toBinary(OperationSchema, operation));

/** PROTOCOL-HTTP2.md, "Length-Prefixed-Message". */
function enveloped(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}
