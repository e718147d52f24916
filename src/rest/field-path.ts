import {
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FieldMaskSchema, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { typeUrlPrefix } from "../internal/type-url.js";
import { readProtoJson } from "../json/proto-json.js";
import { invalidValue, oneofConflict } from "./errors.js";

/**
 * Returns the fields along a path of names, in either spelling, down from a message: all but the
 * last are singular messages. Undefined if a name is not a field, or if a field on the way is not a
 * singular message.
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

/** Returns the names of the fields along a path, as the .proto spells them, between dots. */
export function protoPath(fields: readonly DescField[]): string {
  return fields.map(({ name }) => name).join(".");
}

/**
 * Whether a field's value, or an item of its list, is a single string, number or boolean in JSON.
 */
export function isLeaf(field: DescField): boolean {
  return field.fieldKind !== "map" && holdsWords(field);
}

/**
 * Whether each value of a field, of its list or of its map is a single string, number or boolean in
 * JSON.
 */
export function holdsWords({ message }: DescField): boolean {
  return message === undefined || words.has(message.typeName) || isWrapperDesc(message);
}

/** Messages whose JSON is one word. The JSON of a wrapper is that of its value. */
const words: ReadonlySet<string> = new Set(
  ["Timestamp", "Duration", "FieldMask"].map((name) => `google.protobuf.${name}`),
);

/** Whether a field is `paths` of a FieldMask, which is set as the JSON of the mask is. */
export function isMaskPaths(field: DescField): boolean {
  return field.parent.typeName === FieldMaskSchema.typeName;
}

/** Whether the text of a field is base64. */
export function isBase64({ scalar, message }: DescField): boolean {
  return scalar === ScalarType.BYTES || message?.typeName === "google.protobuf.BytesValue";
}

/** A place in a message that a text sets. */
export interface TextTarget {
  /** The fields from the outermost message down to the field of the text. */
  readonly fields: readonly DescField[];
  /** The key of the entry if the last field is a map. */
  readonly mapKey?: string | undefined;
}

/**
 * Sets a field to the value of a text, or adds the value to the field's list or map. An empty text
 * for a message chooses that message with no field set.
 *
 * @throws ConnectError 400 if the field's type does not have this value, or if another member of
 *   its oneof is set.
 */
export function setFromText(
  desc: DescMessage,
  message: Message,
  { fields, mapKey }: TextTarget,
  text: string,
): void {
  const leaf = fields.at(-1);
  if (leaf === undefined) throw new RangeError("a path of no fields");
  const target = innermost(reflect(desc, message), fields);
  if (leaf.fieldKind === "message" && !holdsWords(leaf)) {
    assertOneofFree(target, leaf, fields);
    if (!target.isSet(leaf)) target.set(leaf, reflect(leaf.message));
    return;
  }
  if (leaf.fieldKind === "scalar" && leaf.scalar === ScalarType.STRING) {
    assertOneofFree(target, leaf, fields);
    // Most fields of a path are names, and a string needs no parsing. Decoded UTF-8 has no lone
    // surrogates, so every string is valid.
    target.set(leaf, text);
    return;
  }
  let read: ReflectMessage;
  try {
    read = readField(leaf, text, mapKey);
  } catch {
    const key = mapKey === undefined ? "" : `[${JSON.stringify(mapKey)}]`;
    throw invalidValue(protoPath(fields) + key, typeOf(leaf), text);
  }
  assertOneofFree(target, leaf, fields);
  if (leaf.fieldKind === "list") {
    for (const item of read.get(leaf)) target.get(leaf).add(item);
  } else if (leaf.fieldKind === "map") {
    for (const [key, value] of read.get(leaf)) target.get(leaf).set(key, value);
  } else {
    target.set(leaf, read.get(leaf));
  }
}

/** Returns the type of a field as Google's errors name it. */
export function typeOf(field: DescField): string {
  const named = field.message ?? field.enum;
  if (named !== undefined) return typeUrlPrefix + named.typeName;
  return field.scalar === undefined ? "" : `TYPE_${ScalarType[field.scalar]}`;
}

/** The message that holds the last field of a path; the messages on the way are created. */
function innermost(outermost: ReflectMessage, fields: readonly DescField[]): ReflectMessage {
  let current = outermost;
  for (const field of fields.slice(0, -1)) {
    if (field.fieldKind !== "message") throw new RangeError(`${field.name} is not a message`);
    assertOneofFree(current, field, fields);
    if (!current.isSet(field)) current.set(field, reflect(field.message));
    current = current.get(field);
  }
  return current;
}

function assertOneofFree(target: ReflectMessage, field: DescField, path: readonly DescField[]) {
  if (field.oneof === undefined) return;
  const other = target.oneofCase(field.oneof);
  if (other !== undefined && other !== field) {
    throw oneofConflict(protoPath(path), field.oneof.name, other.name);
  }
}

/** A message with nothing but the one field, read from a text. */
function readField(field: DescField, text: string, mapKey: string | undefined): ReflectMessage {
  const { parent } = field;
  if (isMaskPaths(field)) return reflect(parent, readProtoJson(parent, maskOfText(text), "refuse"));
  const value = jsonOfText(field, text);
  if (value === undefined) throw new Error("not of the form of its type");
  const json =
    field.fieldKind === "list" ? [value] : mapKey === undefined ? value : { [mapKey]: value };
  return reflect(parent, readProtoJson(parent, { [field.jsonName]: json }, "refuse"));
}

/** The JSON value that a text stands for in a field; undefined if it stands for none. */
function jsonOfText(field: DescField, text: string): JsonValue | undefined {
  if (field.message !== undefined) {
    if (field.message.typeName === FieldMaskSchema.typeName) return maskOfText(text);
    const [wrapped] = isWrapperDesc(field.message) ? field.message.fields : [];
    return wrapped === undefined ? text : jsonOfText(wrapped, text);
  }
  // ProtoJSON reads numbers in quotes as it reads numbers.
  if (field.scalar !== ScalarType.BOOL) return text;
  return text === "true" ? true : text === "false" ? false : undefined;
}

/** The JSON of a FieldMask from a text that may spell its paths as the .proto does. */
function maskOfText(text: string): string {
  return text.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
