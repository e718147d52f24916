import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";

/**
 * The fields of a metadata message that the server keeps by itself, by their numbers;
 * undefined for one that the message does not have. They are those of the
 * OperationMetadata that Google's APIs have in common, known by number, type and name, and
 * `expire_time` (AIP-214) at any number.
 */
export interface StandardFields {
  readonly createTime: number | undefined;
  readonly endTime: number | undefined;
  readonly target: number | undefined;
  readonly verb: number | undefined;
  readonly status: number | undefined;
  readonly cancelRequested: number | undefined;
  readonly apiVersion: number | undefined;
  readonly expireTime: number | undefined;
}

export function standardFieldsOf(metadata: DescMessage): StandardFields {
  const string = (number: number, names: readonly string[]) =>
    numberOf(metadata, number, names, (field) => isScalar(field, ScalarType.STRING));
  return {
    createTime: numberOf(metadata, 1, ["create_time"], isTimestamp),
    endTime: numberOf(metadata, 2, ["end_time"], isTimestamp),
    target: string(3, ["target"]),
    verb: string(4, ["verb"]),
    status: string(5, ["status_message", "status_detail", "status"]),
    cancelRequested: numberOf(
      metadata,
      6,
      ["requested_cancellation", "cancel_requested"],
      (field) => isScalar(field, ScalarType.BOOL),
    ),
    apiVersion: string(7, ["api_version"]),
    expireTime: numberOf(metadata, undefined, ["expire_time"], isTimestamp),
  };
}

/** The number of a singular field of no oneof that has one of these names, and this number. */
function numberOf(
  schema: DescMessage,
  number: number | undefined,
  names: readonly string[],
  isOfType: (field: DescField) => boolean,
): number | undefined {
  return schema.fields.find(
    (field) =>
      names.includes(field.name) &&
      field.number === (number ?? field.number) &&
      field.oneof === undefined &&
      isOfType(field),
  )?.number;
}

function isScalar(field: DescField, type: ScalarType): boolean {
  return field.fieldKind === "scalar" && field.scalar === type;
}

function isTimestamp(field: DescField): boolean {
  return (
    field.fieldKind === "message" &&
    field.message.typeName === TimestampSchema.typeName &&
    !field.delimitedEncoding
  );
}
