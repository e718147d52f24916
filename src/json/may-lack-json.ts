import type { DescMessage } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** Well-known types with values that ProtoJSON cannot hold, such as a Timestamp of the year 10000. */
const limitedTypes: ReadonlySet<string> = new Set([
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
  "google.protobuf.FieldMask",
  "google.protobuf.Value",
  "google.protobuf.Struct",
  "google.protobuf.ListValue",
]);

const known = new WeakMap<DescMessage, boolean>();

/**
 * Whether a decoded message of this type may have no JSON: it holds one of the limited types, or a
 * required field (proto2), at whatever depth.
 */
export function mayLackJson(desc: DescMessage): boolean {
  const found = known.get(desc) ?? holdsLimited(desc);
  known.set(desc, found);
  return found;
}

function holdsLimited(desc: DescMessage): boolean {
  const seen = new Set([desc]);
  // The set grows during the loop, which also visits the values that are added.
  for (const { typeName, fields } of seen) {
    if (limitedTypes.has(typeName)) return true;
    for (const field of fields) {
      if (field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED) return true;
      if (field.message !== undefined) seen.add(field.message);
    }
  }
  return false;
}
