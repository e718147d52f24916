import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  mergeFromJson,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { typeUrlPrefix } from "../internal/type-url.js";
import { invalidValue } from "./errors.js";

/**
 * The fields along a path of names, in either spelling, down from a message: all but the last are
 * singular messages. Undefined where a name is no field's, or where a field on the way is not.
 */
export function fieldAt(
  desc: DescMessage,
  names: readonly string[],
): readonly DescField[] | undefined {
  const fields: DescField[] = [];
  let current: DescMessage | undefined = desc;
  for (const name of names) {
    const field: DescField | undefined = current?.fields.find(
      (one) => one.name === name || one.jsonName === name,
    );
    if (field === undefined) return undefined;
    fields.push(field);
    current = field.fieldKind === "message" ? field.message : undefined;
  }
  return fields.length === 0 ? undefined : fields;
}

/** The names of the fields along a path, as the .proto spells them, between dots. */
export function protoPath(fields: readonly DescField[]): string {
  return fields.map(({ name }) => name).join(".");
}

/** Whether a field's value, or that of an item of its list, is one word in JSON. */
export function isLeaf(field: DescField): boolean {
  if (field.fieldKind === "map") return false;
  return field.message === undefined || isWord(field.message);
}

/** Whether a field holds one value; a list and a map hold many. */
export function isSingular(field: DescField): boolean {
  return field.fieldKind !== "list" && field.fieldKind !== "map";
}

/**
 * Set the field at the end of a path to a value that came as text, or add it there to a list.
 *
 * @throws ConnectError 400 for a value that the field's type does not have.
 */
export function setFromText(
  desc: DescMessage,
  message: Message,
  fields: readonly DescField[],
  text: string,
): void {
  const leaf = fields.at(-1);
  if (leaf === undefined) throw new RangeError("a path of no fields");
  const value = jsonOfText(leaf, text);
  try {
    if (value === undefined) throw new Error("not of the form that this type has");
    const json = fields.reduceRight<JsonValue>(
      (inner, { jsonName }): JsonObject => ({ [jsonName]: inner }),
      leaf.fieldKind === "list" ? [value] : value,
    );
    mergeFromJson(desc, message, json);
  } catch {
    throw invalidValue(protoPath(fields), typeOf(leaf), text);
  }
}

/** The type of a field as Google's errors name it. */
export function typeOf(field: DescField): string {
  const named = field.message ?? field.enum;
  if (named !== undefined) return typeUrlPrefix + named.typeName;
  return field.scalar === undefined ? "" : `TYPE_${ScalarType[field.scalar]}`;
}

/** Messages whose JSON is one word: of a wrapper, that of what it wraps. */
const words: ReadonlySet<string> = new Set(
  ["Timestamp", "Duration", "FieldMask"].map((name) => `google.protobuf.${name}`),
);

function isWord(desc: DescMessage): boolean {
  return words.has(desc.typeName) || isWrapperDesc(desc);
}

/** The JSON value that a text stands for in a field; undefined where it cannot. */
function jsonOfText(field: DescField, text: string): JsonValue | undefined {
  if (field.enum !== undefined) return /^-?\d+$/.test(text) ? Number(text) : text;
  if (field.message !== undefined) {
    const [wrapped] = isWrapperDesc(field.message) ? field.message.fields : [];
    return wrapped === undefined ? text : jsonOfText(wrapped, text);
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      // A plus sign that nobody encoded has become a space.
      return text.replaceAll(" ", "+");
    case ScalarType.BOOL:
      return text === "true" ? true : text === "false" ? false : undefined;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return /^(-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|NaN|-?Infinity)$/i.test(text) ? text : undefined;
    default:
      return /^-?\d{1,20}$/.test(text) ? text : undefined;
  }
}
