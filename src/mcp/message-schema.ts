// JSON Schema (2020-12) for the proto3 JSON of a message.
//
// Hosts restrict schemas: the root is an object without oneOf, anyOf and allOf, and nothing refers to
// another document. A message that occurs once is written where it occurs. A message that occurs
// more than once, or within itself, is written once in `$defs`, so that the size of a schema grows
// with the number of messages alone.
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type JsonObject,
  ScalarType,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { FieldBehavior, field_behavior } from "../protos.js";
import type { Descriptions } from "./descriptions.js";

/** A JSON Schema, or a part of one. */
export type JsonSchema = JsonObject;

/** A JSON Schema of an object, which the root of a tool's schema must be. */
export type ObjectSchema = JsonSchema & { readonly type: "object" };

/**
 * The direction of a message. The input of a tool is strict: it has the required fields of
 * google.api.field_behavior, lacks OUTPUT_ONLY fields, and refuses unknown members. The output is
 * open, because a newer server may send more fields and other enum values.
 */
export type Direction = "input" | "output";

/** Writes one schema document. Its `$defs` are shared by all messages that are written into it. */
export interface SchemaWriter {
  /** Returns the schema of a message's JSON, with the message's own fields inlined. */
  root(desc: DescMessage): JsonSchema;
  /** Returns the definitions that the returned schemas refer to; undefined if they refer to no definition. */
  definitions(): Readonly<Record<string, JsonSchema>> | undefined;
}

export function createSchemaWriter(
  direction: Direction,
  roots: readonly DescMessage[],
  descriptions: Descriptions,
): SchemaWriter {
  const shared = messagesInDefinitions(roots, direction);
  const definitions: Record<string, JsonSchema> = {};

  const reference = (desc: DescMessage): JsonSchema => {
    const special = specialSchema(desc, direction);
    if (special !== undefined) return special;
    if (!shared.has(desc)) return ofFields(desc);
    if (!Object.hasOwn(definitions, desc.typeName)) {
      // The definition is registered before the fields are written, because a field may have this
      // type too.
      definitions[desc.typeName] = {};
      definitions[desc.typeName] = ofFields(desc);
    }
    return { $ref: `#/$defs/${desc.typeName}` };
  };

  const ofFields = (desc: DescMessage): ObjectSchema => {
    const fields = fieldsOf(desc, direction);
    const required = direction === "input" ? fields.filter(isRequired) : [];
    const properties = Object.fromEntries(
      fields.map((field) => [field.jsonName, described(ofField(field), descriptions.of(field))]),
    );
    return {
      type: "object",
      ...describedBy(joined(descriptions.of(desc), oneofSentences(desc, fields))),
      ...(fields.length > 0 ? { properties } : {}),
      ...(required.length > 0 ? { required: required.map(({ jsonName }) => jsonName) } : {}),
      ...(direction === "input" ? { additionalProperties: false } : {}),
    };
  };

  const ofField = (field: DescField): JsonSchema => {
    switch (field.fieldKind) {
      case "message":
        return reference(field.message);
      case "enum":
        return enumSchema(field.enum, direction);
      case "scalar":
        return scalarSchema(field.scalar, direction);
      case "list":
        return { type: "array", items: itemSchema(field) };
      case "map":
        return {
          type: "object",
          ...mapKeys(field.mapKey),
          additionalProperties: itemSchema(field),
        };
    }
  };

  const itemSchema = (field: DescField & { fieldKind: "list" | "map" }): JsonSchema => {
    if (field.message !== undefined) return reference(field.message);
    if (field.enum !== undefined) return enumSchema(field.enum, direction);
    return scalarSchema(field.scalar, direction);
  };

  return {
    root: (desc) => specialSchema(desc, direction) ?? ofFields(desc),
    definitions: () => (Object.keys(definitions).length === 0 ? undefined : definitions),
  };
}

/** Messages that occur more than once below the roots, or within themselves. */
function messagesInDefinitions(
  roots: readonly DescMessage[],
  direction: Direction,
): ReadonlySet<DescMessage> {
  const seen = new Set<DescMessage>(roots);
  const shared = new Set<DescMessage>();
  const pending = [...roots];
  for (let desc = pending.pop(); desc !== undefined; desc = pending.pop()) {
    for (const field of fieldsOf(desc, direction)) {
      const { message } = field;
      if (message === undefined || specialSchema(message, direction) !== undefined) continue;
      if (seen.has(message)) shared.add(message);
      else {
        seen.add(message);
        pending.push(message);
      }
    }
  }
  return shared;
}

function fieldsOf(desc: DescMessage, direction: Direction): DescField[] {
  return direction === "output"
    ? [...desc.fields]
    : desc.fields.filter((field) => !behaviorOf(field).includes(FieldBehavior.OUTPUT_ONLY));
}

function isRequired(field: DescField): boolean {
  return (
    behaviorOf(field).includes(FieldBehavior.REQUIRED) ||
    field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED
  );
}

function behaviorOf(field: DescField): readonly FieldBehavior[] {
  return hasOption(field, field_behavior) ? getOption(field, field_behavior) : [];
}

function oneofSentences(desc: DescMessage, fields: readonly DescField[]): string | undefined {
  const sentences = desc.oneofs.flatMap((oneof) => {
    const names = fields.filter((field) => field.oneof === oneof).map(({ jsonName }) => jsonName);
    return names.length < 2 ? [] : [`At most one of ${names.join(", ")}.`];
  });
  return sentences.length === 0 ? undefined : sentences.join(" ");
}

/** The schemas of types whose JSON is not the object of their fields (google.protobuf). */
function specialSchema(desc: DescMessage, direction: Direction): JsonSchema | undefined {
  if (isWrapperDesc(desc)) return scalarSchema(desc.fields[0].scalar, direction);
  switch (desc.typeName) {
    case "google.protobuf.Any":
      return anySchema(direction);
    case "google.protobuf.Timestamp":
      return {
        type: "string",
        format: "date-time",
        ...(direction === "input" ? timestampInput : {}),
      };
    case "google.protobuf.Duration":
      return {
        type: "string",
        pattern: direction === "input" ? durationInput : "^-?\\d{1,12}(?:\\.\\d{1,9})?s$",
        description: 'Seconds with the suffix "s", such as "3.5s".',
      };
    case "google.protobuf.FieldMask":
      return {
        type: "string",
        description:
          'Field names in lowerCamelCase, separated by commas, such as "name,spec.size".',
        ...(direction === "input"
          ? { pattern: "^(?:[a-z][a-zA-Z0-9]*(?:[.,][a-z][a-zA-Z0-9]*)*)?$" }
          : {}),
      };
    case "google.protobuf.Struct":
      return { type: "object", additionalProperties: true };
    case "google.protobuf.ListValue":
      return { type: "array", items: anyValue };
    case "google.protobuf.Value":
      return anyValue;
    case "google.protobuf.Empty":
      return direction === "input"
        ? { type: "object", additionalProperties: false }
        : { type: "object" };
    default:
      return undefined;
  }
}

/** Any JSON, with one type a branch: some hosts take neither lists of types nor empty schemas. */
const anyValue: JsonSchema = {
  anyOf: ["array", "boolean", "null", "number", "object", "string"].map((type) => ({ type })),
};

/** The JSON of an Any: `@type` beside the members of its message, or beside `value`. */
function anySchema(direction: Direction): ObjectSchema {
  return {
    type: "object",
    properties: {
      "@type": { type: "string", description: "type.googleapis.com/ and a type name" },
    },
    additionalProperties: true,
    ...(direction === "input" ? { required: ["@type"] } : {}),
  };
}

/** Years 0001 to 9999 (timestamp.proto), without leap seconds. */
const timestampInput = {
  pattern:
    "^(?:000[1-9]|00[1-9]\\d|0[1-9]\\d{2}|[1-9]\\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])" +
    "T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?Z$",
};

/** Slightly less than the range of duration.proto, which ends at 315,576,000,000 seconds. */
const durationInput = `^-?(?:${decimalUpTo("315575999999")})(?:\\.\\d{1,9})?s$`;

function enumSchema(desc: DescEnum, direction: Direction): JsonSchema {
  if (desc.typeName === "google.protobuf.NullValue") return { type: "null" };
  const names = { type: "string", enum: desc.values.map(({ name }) => name) };
  // Enums are open: a newer server may send numbers without a name in this descriptor.
  return direction === "input" ? names : { anyOf: [names, { type: "integer" }] };
}

function scalarSchema(scalar: ScalarType, direction: Direction): JsonSchema {
  switch (scalar) {
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64", pattern: base64 };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", minimum: -2147483648, maximum: 2147483647 };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", minimum: 0, maximum: 4294967295 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: "string", pattern: int64, description: "A 64-bit integer in decimal digits." };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return {
        type: "string",
        pattern: uint64,
        description: "An unsigned 64-bit integer in decimal digits.",
      };
    case ScalarType.FLOAT:
      return direction === "input"
        ? { type: "number", minimum: -maxFloat, maximum: maxFloat }
        : { anyOf: [{ type: "number" }, notFinite] };
    case ScalarType.DOUBLE:
      return direction === "input"
        ? { type: "number" }
        : { anyOf: [{ type: "number" }, notFinite] };
  }
}

const notFinite: JsonSchema = { type: "string", enum: ["NaN", "Infinity", "-Infinity"] };
/** Written shortest, the greatest float is this, which is slightly above it and rounds to it. */
const maxFloat = 3.4028235e38;
const base64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
const int64 = `^(?:${decimalUpTo("9223372036854775807")}|-(?:${decimalUpTo("9223372036854775808", 1)}))$`;
const uint64 = `^(?:${decimalUpTo("18446744073709551615")})$`;
const int32 = `^(?:${decimalUpTo("2147483647")}|-(?:${decimalUpTo("2147483648", 1)}))$`;
const uint32 = `^(?:${decimalUpTo("4294967295")})$`;

/** The keys of a map whose keys are not strings (ProtoJSON: keys are always JSON strings). */
function mapKeys(key: ScalarType): JsonSchema {
  switch (key) {
    case ScalarType.BOOL:
      return { propertyNames: { enum: ["true", "false"] } };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { propertyNames: { pattern: int32 } };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { propertyNames: { pattern: uint32 } };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { propertyNames: { pattern: int64 } };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { propertyNames: { pattern: uint64 } };
    default:
      return {};
  }
}

/**
 * Returns a regular expression for the decimal integers from `least` (0 or 1) to `greatest`,
 * without leading zeros. JSON Schema has no bounds for numbers in strings.
 */
export function decimalUpTo(greatest: string, least: 0 | 1 = 0): string {
  const digits = (count: number) => (count === 0 ? "" : count === 1 ? "\\d" : `\\d{${count}}`);
  const branches = [...(least === 0 ? ["0"] : []), `[1-9]\\d{0,${greatest.length - 2}}`];
  for (let at = 0; at < greatest.length; at += 1) {
    const lowest = at === 0 ? 1 : 0;
    const below = Number(greatest[at]) - 1;
    if (below < lowest) continue;
    const range = below === lowest ? String(below) : `[${lowest}-${below}]`;
    branches.push(`${greatest.slice(0, at)}${range}${digits(greatest.length - at - 1)}`);
  }
  branches.push(greatest);
  return branches.join("|");
}

function described(schema: JsonSchema, description: string | undefined): JsonSchema {
  const own = schema.description;
  const text = joined(description, typeof own === "string" ? own : undefined);
  return text === undefined ? schema : { ...schema, description: text };
}

function describedBy(description: string | undefined): JsonSchema {
  return description === undefined ? {} : { description };
}

function joined(first: string | undefined, second: string | undefined): string | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return `${first}\n${second}`;
}
