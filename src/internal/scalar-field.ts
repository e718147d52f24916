import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** Returns the singular string field with this .proto name, or undefined if the message has no such field. */
export function stringField(schema: DescMessage, name: string): DescField | undefined {
  return scalarField(schema, name, ScalarType.STRING);
}

/** A singular field of a scalar type, by its name in the .proto. */
export function scalarField(
  schema: DescMessage,
  name: string,
  scalar: ScalarType,
): DescField | undefined {
  return schema.fields.find(
    (field) => field.name === name && field.fieldKind === "scalar" && field.scalar === scalar,
  );
}
