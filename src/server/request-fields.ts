import { type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { scalarField } from "../internal/scalar-field.js";

/** Returns the value of a singular string field by its name in the .proto; undefined without that field. */
export function stringFieldOf(
  schema: DescMessage,
  message: Message,
  fieldName: string,
): string | undefined {
  const field = scalarField(schema, fieldName, ScalarType.STRING);
  const value: unknown = field && reflect(schema, message).get(field);
  return typeof value === "string" ? value : undefined;
}

/** Returns whether a singular bool field, by its name in the .proto, is set to true. */
export function boolFieldOf(schema: DescMessage, message: Message, fieldName: string): boolean {
  const field = scalarField(schema, fieldName, ScalarType.BOOL);
  return field !== undefined && reflect(schema, message).get(field) === true;
}
