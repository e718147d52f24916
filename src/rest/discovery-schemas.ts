import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";

/** The `schemas` of a discovery document, which grow as they are referred to. */
export interface DiscoverySchemas {
  /** Returns `{"$ref": id}` of a message, or the schema of a well-known type. */
  refTo(desc: DescMessage): JsonObject;
  /** Returns the reference of a request without the fields that are in the path. */
  refToBody(desc: DescMessage, inPath: ReadonlySet<DescField>): JsonObject;
  /** Returns the schemas by their ids. */
  all(): JsonObject;
}

/** @param messages The messages that references name: together they decide which ids are unique. */
export function createDiscoverySchemas(messages: Iterable<DescMessage>): DiscoverySchemas {
  const idOf = idsOf(messages);
  const schemas = new Map<string, JsonObject>();
  const refTo = (desc: DescMessage, inPath: ReadonlySet<DescField> = new Set()): JsonObject => {
    const wellKnown = wellKnownSchema(desc);
    if (wellKnown !== undefined) return wellKnown;
    const id = idOf(desc);
    if (!schemas.has(id)) {
      // The schema is registered before its fields, which may refer to it.
      schemas.set(id, {});
      const properties = desc.fields
        .filter((field) => !inPath.has(field))
        .map((field) => [field.jsonName, schemaOf(field, refTo)]);
      schemas.set(id, { id, type: "object", properties: Object.fromEntries(properties) });
    }
    return { $ref: id };
  };
  return {
    refTo: (desc) => refTo(desc),
    refToBody: refTo,
    all: () => Object.fromEntries([...schemas].sort(([one], [other]) => (one < other ? -1 : 1))),
  };
}

/** Returns the description of a field that is one word in JSON, for a schema or a parameter. */
export function wordSchema(field: DescField): JsonObject {
  if (field.enum !== undefined) return enumSchema(field.enum);
  if (field.message !== undefined) return wellKnownSchema(field.message) ?? { type: "string" };
  return field.scalar === undefined ? { type: "string" } : scalarSchema(field.scalar);
}

function schemaOf(field: DescField, refTo: (desc: DescMessage) => JsonObject): JsonObject {
  const one = field.message === undefined ? wordSchema(field) : refTo(field.message);
  if (field.fieldKind === "list") return { type: "array", items: one };
  if (field.fieldKind === "map") return { type: "object", additionalProperties: one };
  return one;
}

function enumSchema({ values }: DescEnum): JsonObject {
  return {
    type: "string",
    enum: values.map(({ name }) => name),
    enumDescriptions: values.map(() => ""),
  };
}

function scalarSchema(scalar: ScalarType): JsonObject {
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", format: "byte" };
    case ScalarType.DOUBLE:
      return { type: "number", format: "double" };
    case ScalarType.FLOAT:
      return { type: "number", format: "float" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "uint32" };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", format: "uint64" };
    default:
      return { type: "string", format: "int64" };
  }
}

const anything: JsonObject = { type: "any" };

/** Messages whose JSON is not the object of their fields. */
function wellKnownSchema(desc: DescMessage): JsonObject | undefined {
  const [wrapped] = isWrapperDesc(desc) ? desc.fields : [];
  if (wrapped !== undefined) return wordSchema(wrapped);
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return { type: "string", format: "google-datetime" };
    case "google.protobuf.Duration":
      return { type: "string", format: "google-duration" };
    case "google.protobuf.FieldMask":
      return { type: "string", format: "google-fieldmask" };
    case "google.protobuf.Any":
      return {
        type: "object",
        additionalProperties: {
          ...anything,
          description: "Properties of the object. Contains field @type with type URL.",
        },
      };
    case "google.protobuf.Struct":
      return { type: "object", additionalProperties: anything };
    case "google.protobuf.ListValue":
      return { type: "array", items: anything };
    case "google.protobuf.Value":
      return anything;
    default:
      return undefined;
  }
}

/** The ids of messages: the last part of the name, or the whole name where two share that. */
function idsOf(messages: Iterable<DescMessage>): (desc: DescMessage) => string {
  const reached = new Set(messages);
  for (const { fields } of reached) {
    for (const { message } of fields) if (message !== undefined) reached.add(message);
  }
  const owners = new Map<string, Set<string>>();
  for (const { name, typeName } of reached) {
    owners.set(name, (owners.get(name) ?? new Set()).add(typeName));
  }
  return ({ name, typeName }) => {
    if ((owners.get(name)?.size ?? 0) <= 1) return name;
    return typeName.replace(/(?:^|\.)([a-zA-Z])/g, (_, letter: string) => letter.toUpperCase());
  };
}
