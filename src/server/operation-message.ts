import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { type Operation, OperationSchema, StatusSchema } from "../protos.js";
import type { OperationRecord, StoredResult } from "../store/operation-store.js";

/** The google.longrunning.Operation that a record stands for. */
export function operationFromRecord(record: OperationRecord): Operation {
  return create(OperationSchema, {
    name: record.name,
    metadata: record.metadata && fromBinary(AnySchema, record.metadata),
    done: record.state === "done",
    result: record.result && operationResult(record.result),
  });
}

function operationResult({ kind, value }: StoredResult) {
  return kind === "response"
    ? { case: kind, value: fromBinary(AnySchema, value) }
    : { case: kind, value: fromBinary(StatusSchema, value) };
}
