import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Operation, OperationSchema } from "../../src/protos.js";

/** A running operation without metadata; a test spells out what it is about. */
export function anOperation(init: MessageInitShape<typeof OperationSchema> = {}): Operation {
  return create(OperationSchema, { name: "operations/op-1", ...init });
}
