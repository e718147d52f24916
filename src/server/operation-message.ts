import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { type Operation, OperationSchema, StatusSchema } from "../protos.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";
import type { MethodPolicies } from "./method-policies.js";

/** Makes the google.longrunning.Operation that a record stands for. */
export type OperationFromRecord = (record: OperationRecord) => Operation;

/**
 * Where this process knows the operation's method, the metadata shows its standard
 * fields; else it is what is stored.
 */
export function createOperationFromRecord(policies: MethodPolicies): OperationFromRecord {
  return (record) => {
    const { metadata } = policies.of(record.method);
    return create(OperationSchema, {
      name: record.name,
      metadata: metadata?.shownFor(record) ?? storedMetadata(record),
      done: record.state === "done",
      result: record.result && operationResult(record.result),
    });
  };
}

function storedMetadata({ metadata }: OperationRecord) {
  return metadata && fromBinary(AnySchema, metadata);
}

/** The member of `Operation.result` that a stored end stands for. */
export function operationResult({ kind, value }: StoredResult) {
  return kind === "response"
    ? { case: kind, value: fromBinary(AnySchema, value) }
    : { case: kind, value: fromBinary(StatusSchema, value) };
}
