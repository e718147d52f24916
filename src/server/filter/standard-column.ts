import type { DescMessage } from "@bufbuild/protobuf";
import { standardFieldsOf } from "../standard-fields.js";

/** A column of a record that the server shows in the metadata. */
export type StandardColumn = "create_time" | "end_time" | "cancel_requested";

/**
 * The column that the server shows in this field of a method's metadata; undefined for a
 * field whose value is stored.
 */
export function standardColumnOf(
  metadata: DescMessage,
  fieldName: string,
): StandardColumn | undefined {
  const number = metadata.fields.find(({ name }) => name === fieldName)?.number;
  if (number === undefined) return undefined;
  const { createTime, endTime, cancelRequested } = standardFieldsOf(metadata);
  if (number === createTime) return "create_time";
  if (number === endTime) return "end_time";
  return number === cancelRequested ? "cancel_requested" : undefined;
}
