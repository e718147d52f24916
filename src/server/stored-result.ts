import { type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { pack } from "../any/any.js";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { StoredResult } from "../store/operation-store.js";

/**
 * Encodes a payload as stores keep it: a serialized google.protobuf.Any. `change` may replace the
 * encoded message with another one of the same type.
 */
export function storedPayload<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
  change?: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const any = pack(schema, message);
  if (change !== undefined) any.value = Uint8Array.from(change(any.value));
  return toBinary(AnySchema, any);
}

/** Encodes the result of an operation that succeeded. */
export function storedResponse<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
): StoredResult {
  return { kind: "response", value: storedPayload(schema, message) };
}

/** Encodes the result of an operation that failed or was cancelled. */
export function storedError(error: ConnectError): StoredResult {
  return { kind: "error", value: toBinary(StatusSchema, statusFromError(error)) };
}
