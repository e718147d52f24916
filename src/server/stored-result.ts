import { type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { pack } from "../any/any.js";
import { StatusSchema } from "../protos.js";
import { statusFromError } from "../status/status-error.js";
import type { StoredResult } from "../store/operation-store.js";

/**
 * A payload as a store keeps it: a serialized google.protobuf.Any. `prefix` are fields of
 * the message, serialized, that stand where the message does not set them.
 */
export function storedPayload<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
  prefix?: Uint8Array,
): Uint8Array {
  const any = pack(schema, message);
  if (prefix !== undefined) any.value = new BinaryWriter().raw(prefix).raw(any.value).finish();
  return toBinary(AnySchema, any);
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
