import { equals, fromBinary, type Registry } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { isSameBytes } from "../internal/same-bytes.js";
import { typeNameFromUrl } from "../internal/type-url.js";
import type { Operation, Status } from "../protos.js";
import { fieldsOf } from "./wire/operation-facts.js";

/**
 * Whether two payloads mean the same. The order of fields and fields that the type does not have
 * make no difference, because serialized bytes are not canonical.
 */
export function isSameAny(a: Any | undefined, b: Any | undefined, types: Registry): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (typeNameFromUrl(a.typeUrl) !== typeNameFromUrl(b.typeUrl)) return false;
  if (isSameBytes(a.value, b.value)) return true;
  const desc = types.getMessage(typeNameFromUrl(a.typeUrl));
  try {
    if (desc === undefined) return sortedFields(a.value) === sortedFields(b.value);
    return equals(desc, fromBinary(desc, a.value), fromBinary(desc, b.value));
  } catch {
    return false;
  }
}

function sortedFields(bytes: Uint8Array): string {
  return fieldsOf(bytes)
    .sort((one, other) => one.no - other.no)
    .map(({ no, data }) => `${no}:${data.join(",")}`)
    .join(";");
}

/** Whether two statuses have the same code and, in any order, the same details. */
export function isSameStatus(a: Status, b: Status, types: Registry): boolean {
  if (a.code !== b.code || a.details.length !== b.details.length) return false;
  const rest = [...b.details];
  return a.details.every((detail) => {
    const at = rest.findIndex((other) => isSameAny(detail, other, types));
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  });
}

/** Whether two operations have the same result, or none. */
export function isSameResult(a: Operation, b: Operation, types: Registry): boolean {
  const [one, other] = [a.result, b.result];
  if (one.case === "response" && other.case === "response") {
    return isSameAny(one.value, other.value, types);
  }
  if (one.case === "error" && other.case === "error") {
    return isSameStatus(one.value, other.value, types);
  }
  return one.case === other.case;
}
