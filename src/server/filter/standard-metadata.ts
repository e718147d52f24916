import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** A column of a record that the server shows in the metadata. */
export type StandardMetadata = "create_time" | "end_time" | "cancel_requested";

/**
 * What the server itself keeps up in a field of a method's metadata, by the field's name
 * and type as in Google's common OperationMetadata; undefined for one that is the work's.
 */
export function standardMetadataOf(
  metadata: DescMessage,
  fieldName: string,
): StandardMetadata | undefined {
  const field = metadata.fields.find(({ name }) => name === fieldName);
  if (field === undefined) return undefined;
  switch (fieldName) {
    case "create_time":
    case "end_time":
      return isTimestamp(field) ? fieldName : undefined;
    case "requested_cancellation":
    case "cancel_requested":
      return isBoolean(field) ? "cancel_requested" : undefined;
    default:
      return undefined;
  }
}

function isTimestamp(field: DescField): boolean {
  return field.fieldKind === "message" && field.message.typeName === "google.protobuf.Timestamp";
}

function isBoolean(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar === ScalarType.BOOL;
}
