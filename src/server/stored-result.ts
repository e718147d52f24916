import { type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { pack } from "../any/any.js";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { StoredResult } from "../store/operation-store.js";

/** A payload as a store keeps it: a serialized google.protobuf.Any. */
export function storedPayload<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
): Uint8Array {
  return toBinary(AnySchema, pack(schema, message));
}

/** The end of an operation that succeeded. */
export function storedResponse<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
): StoredResult {
  return { kind: "response", value: storedPayload(schema, message) };
}

/** The end of an operation that failed, or was cancelled. */
export function storedError(error: ConnectError): StoredResult {
  return { kind: "error", value: toBinary(StatusSchema, statusFromError(error)) };
}
