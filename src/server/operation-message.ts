import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { type Operation, OperationSchema, StatusSchema } from "../protos.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";
import type { MethodPolicies } from "./method-policies.js";

/** What an Operation says, its payloads as they are stored. */
export interface ShownOperation {
  readonly name: string;
  /** A serialized google.protobuf.Any; undefined for none. */
  readonly metadata: Uint8Array | undefined;
  readonly done: boolean;
  /** Undefined until it is done. */
  readonly result: StoredResult | undefined;
}

/** What is shown of a record. */
export type ShowRecord = (record: OperationRecord) => ShownOperation;

/**
 * Where this process knows the operation's method, the metadata shows its standard
 * fields; else it is what is stored.
 */
export function createShowRecord(policies: MethodPolicies): ShowRecord {
  return (record) => {
    const { metadata } = policies.of(record.method);
    return {
      name: record.name,
      metadata: metadata === undefined ? record.metadata : metadata.shownFor(record),
      done: record.state === "done",
      result: record.result,
    };
  };
}

export function operationMessage({ name, metadata, done, result }: ShownOperation): Operation {
  return create(OperationSchema, {
    name,
    metadata: metadata && fromBinary(AnySchema, metadata),
    done,
    result: result && operationResult(result),
  });
}

/** The member of `Operation.result` that a stored end stands for. */
function operationResult({ kind, value }: StoredResult) {
  return kind === "response"
    ? { case: kind, value: fromBinary(AnySchema, value) }
    : { case: kind, value: fromBinary(StatusSchema, value) };
}
