import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";

/** Returns the singular field of this type and .proto name, or undefined without such a field. */
export function scalarField(
  schema: DescMessage,
  name: string,
  scalar: ScalarType,
): DescField | undefined {
  return schema.fields.find(
    (field) => field.name === name && field.fieldKind === "scalar" && field.scalar === scalar,
  );
}
