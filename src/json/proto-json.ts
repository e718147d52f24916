/**
 * The ProtoJSON specification (protobuf.dev/programming-guides/json) where Protobuf-ES 2.17 differs
 * from it. JSON is brought into a form that `fromJson` reads as the specification says, and the
 * JSON of `toJson` is corrected. Fields of which upstream reads and writes all values correctly
 * pass through unchanged.
 *
 * Reading. Upstream
 * - takes hexadecimal, octal and binary text, and a leading "+", as numbers: refused here;
 * - refuses an exponent or a zero fraction in the text of a 64-bit integer: "1e2" is 100 here;
 * - takes a bigint in no other field than one of 64 bits (see `parseJson`);
 * - rolls impossible dates over (February 30) and takes 24:00:00: refused here;
 * - ignores everything behind the "s" of a Duration: refused here;
 * - counts null as a member of its oneof: null is absent here, apart from Value and NullValue;
 * - takes an infinite number and lone surrogates in a Value, and lone surrogates in a FieldMask,
 *   which then change or cannot be written: refused here;
 * - takes no number in quotes for an enum: "1" is 1 here, as in other implementations.
 *
 * Writing. Upstream
 * - writes a float with the digits of the double that holds it: the shortest ones here;
 * - leaves a negative zero to JSON.stringify, which drops its sign: reported here.
 */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  type MessageShape,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { type ExactJson, integerOf } from "./parse-json.js";

/** How members and names of enum values that no descriptor has are treated. */
export type UnknownNames = "refuse" | "ignore";

/**
 * Reads a message from JSON.
 *
 * @throws Error for JSON that is not a message of this type.
 */
export function readProtoJson<Desc extends DescMessage>(
  desc: Desc,
  json: ExactJson,
  unknown: UnknownNames,
): MessageShape<Desc> {
  return fromJson(desc, readable(desc, json), { ignoreUnknownFields: unknown === "ignore" });
}

/** How to write a message. */
export interface ProtoJsonWriteOptions extends Partial<JsonWriteOptions> {
  /** Called when the JSON has a negative zero, which JSON.stringify writes without its sign. */
  readonly onNegativeZero?: (() => void) | undefined;
}

/**
 * Writes a message as JSON.
 *
 * @throws Error for a value that JSON cannot hold, such as a Timestamp of the year 10000.
 */
export function writeProtoJson(
  desc: DescMessage,
  message: Message,
  options: ProtoJsonWriteOptions,
): JsonValue {
  const json = toJson(desc, message, options);
  return plansOf(desc).write?.(json, options) ?? json;
}

/** Returns JSON text that keeps the sign of negative zeros, which JSON.stringify drops. */
export function jsonTextOf(json: JsonValue, indent?: number): string {
  // The mark must not occur in the text.
  let mark = "-0";
  const plain = JSON.stringify(json);
  while (plain.includes(mark)) mark += "-";
  const marked = JSON.stringify(
    json,
    (_, value: JsonValue) => (Object.is(value, -0) ? mark : value),
    indent,
  );
  return marked.replaceAll(`"${mark}"`, "-0");
}

/** Returns JSON that upstream reads as the specification says; the same value if nothing differs. */
function readable(desc: DescMessage, json: ExactJson): JsonValue {
  return plansOf(desc).read(json);
}

type Read = (json: ExactJson) => JsonValue;
/** Corrects JSON in place, or returns the JSON that replaces it. */
type Write = (json: JsonValue, options: ProtoJsonWriteOptions) => JsonValue;

/** How the JSON of a message type is corrected. */
interface Plans {
  readonly read: Read;
  /** The correction on writing; undefined if JSON of this type needs none. */
  readonly write: Write | undefined;
}

const known = new WeakMap<DescMessage, Plans>();

function plansOf(desc: DescMessage): Plans {
  const found = known.get(desc);
  if (found !== undefined) return found;
  // Types may contain themselves, so each field reads its plan when it is used.
  const plans = { read: readerOf(desc), write: holdsFloats(desc) ? writerOf(desc) : undefined };
  known.set(desc, plans);
  return plans;
}

function readerOf(desc: DescMessage): Read {
  switch (desc.typeName) {
    case "google.protobuf.Any":
      return plain;
    case "google.protobuf.Timestamp":
      return (json) => checked(json, isTimestamp);
    case "google.protobuf.Duration":
      return (json) => checked(json, isDuration);
    case "google.protobuf.FieldMask":
      return (json) => checked(json, isWellFormed);
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      return dynamicOf;
  }
  if (isWrapperDesc(desc)) return itemReaderOf(desc.fields[0]);
  const fields = new Map<string, { readonly read: Read; readonly skipsNull: boolean }>();
  for (const field of desc.fields) {
    const entry = { read: fieldReaderOf(field), skipsNull: isAbsentIfNull(field) };
    fields.set(field.name, entry).set(field.jsonName, entry);
  }
  return (json) => {
    if (typeof json !== "object" || json === null || Array.isArray(json)) return plain(json);
    const entries: [string, JsonValue][] = [];
    for (const [name, value] of Object.entries(json)) {
      const field = fields.get(name);
      if (field === undefined) entries.push([name, plain(value)]);
      else if (value !== null || !field.skipsNull) entries.push([name, field.read(value)]);
    }
    return Object.fromEntries(entries);
  };
}

/** In a oneof, upstream counts null as a member; elsewhere null of these is absent already. */
function isAbsentIfNull(field: DescField): boolean {
  return (
    field.oneof !== undefined &&
    field.message?.typeName !== "google.protobuf.Value" &&
    field.enum?.typeName !== "google.protobuf.NullValue"
  );
}

function fieldReaderOf(field: DescField): Read {
  const readItem = itemReaderOf(field);
  if (field.fieldKind === "list") {
    return (json) => (Array.isArray(json) ? json.map(readItem) : plain(json));
  }
  if (field.fieldKind === "map") {
    const readKey = isInteger(field.mapKey) ? keyOfInteger : (key: string) => key;
    return (json) => {
      if (typeof json !== "object" || json === null || Array.isArray(json)) return plain(json);
      const entries = Object.entries(json).map(([key, value]): [string, JsonValue] => [
        readKey(key),
        readItem(value),
      ]);
      const read = Object.fromEntries(entries);
      if (Object.keys(read).length < entries.length) throw new Error("a key is there twice");
      return read;
    };
  }
  return readItem;
}

function itemReaderOf({ message, enum: desc, scalar }: DescField): Read {
  if (message !== undefined) return (json) => (json === null ? null : readable(message, json));
  if (desc !== undefined) {
    return (json) =>
      typeof json === "string" && /^-?\d+$/.test(json) ? Number(json) : plain(json);
  }
  if (scalar === undefined) return plain;
  if (isInteger(scalar)) return integerText;
  return isFloat(scalar) ? floatText : plain;
}

/** JSON without bigints, which upstream takes for nothing but 64-bit integers. */
function plain(json: ExactJson): JsonValue {
  if (typeof json === "bigint") return Number(json);
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(plain);
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, plain(value)]));
}

function integerText(json: ExactJson): JsonValue {
  if (typeof json === "bigint") return String(json);
  if (typeof json !== "string" || /^-?\d{1,20}$/.test(json)) return plain(json);
  return keyOfInteger(json);
}

/** The one text that all texts of an integer have in common. */
function keyOfInteger(text: string): string {
  const integer = integerOf(text);
  if (integer === undefined) throw new Error("not an integer");
  return String(integer);
}

function floatText(json: ExactJson): JsonValue {
  if (typeof json !== "string") return plain(json);
  if (/^(-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|-?Infinity)$/.test(json)) return json;
  throw new Error("not a number");
}

/** The JSON of a Value, of a Struct and of a ListValue. */
function dynamicOf(json: ExactJson): JsonValue {
  switch (typeof json) {
    case "bigint":
      return Number(json);
    case "number":
      if (!Number.isFinite(json)) throw new Error("a number that no double holds");
      return json;
    case "string":
      return wellFormed(json);
    case "object":
      if (json === null) return null;
      if (Array.isArray(json)) return json.map(dynamicOf);
      return Object.fromEntries(
        Object.entries(json).map(([name, value]) => [wellFormed(name), dynamicOf(value)]),
      );
    default:
      return json;
  }
}

function wellFormed(text: string): string {
  if (!isWellFormed(text)) throw new Error("half of a surrogate pair");
  return text;
}

function checked(json: ExactJson, isValid: (text: string) => boolean): JsonValue {
  if (typeof json === "string" && !isValid(json)) throw new Error("not of this type's form");
  return plain(json);
}

/** Whether a text has no half of a surrogate pair, which UTF-8 cannot hold. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Whether a text is a date, a time and an offset that exist. Upstream checks the year's range. */
function isTimestamp(text: string): boolean {
  const [matched, year, month, day, hour, minute, second, , offsetHour = 0, offsetMinute = 0] =
    /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|[+-](\d\d):(\d\d))$/.exec(text) ??
    [];
  if (matched === undefined || Number(month) < 1 || Number(month) > 12) return false;
  // Day 0 of the next month is the last day. The year is taken modulo 400, because Date reads 0 to
  // 99 as 1900 to 1999.
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  return (
    Number(day) >= 1 &&
    Number(day) <= days &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 59 &&
    Number(offsetHour) <= 23 &&
    Number(offsetMinute) <= 59
  );
}

/** Upstream checks the range. */
function isDuration(text: string): boolean {
  return /^-?\d+(\.\d{1,9})?s$/.test(text);
}

function isInteger(scalar: ScalarType): boolean {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
    case ScalarType.BOOL:
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return false;
    default:
      return true;
  }
}

function isFloat(scalar: ScalarType | undefined): boolean {
  return scalar === ScalarType.DOUBLE || scalar === ScalarType.FLOAT;
}

const dynamicTypes: ReadonlySet<string> = new Set(
  ["Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`),
);

/** Whether the JSON of a message can have a floating-point number, at whatever depth. */
function holdsFloats(desc: DescMessage): boolean {
  const seen = new Set([desc]);
  // The set grows during the loop, which also visits the members that are added.
  for (const message of seen) {
    if (dynamicTypes.has(message.typeName)) return true;
    for (const field of message.fields) {
      if (isFloat(field.scalar)) return true;
      if (field.message !== undefined) seen.add(field.message);
    }
  }
  return false;
}

function writerOf(desc: DescMessage): Write {
  if (dynamicTypes.has(desc.typeName)) return writeDynamic;
  const [wrapped] = isWrapperDesc(desc) ? desc.fields : [];
  if (wrapped !== undefined) return itemWriterOf(wrapped) ?? unchanged;
  const fields = desc.fields.flatMap((field) => {
    const write = fieldWriterOf(field);
    return write === undefined ? [] : [{ name: field.jsonName, write }];
  });
  return (json, options) => {
    if (!isObject(json)) return json;
    for (const { name, write } of fields) {
      const value = json[name];
      if (value !== undefined) json[name] = write(value, options);
    }
    return json;
  };
}

function unchanged(json: JsonValue): JsonValue {
  return json;
}

function fieldWriterOf(field: DescField): Write | undefined {
  const writeItem = itemWriterOf(field);
  if (writeItem === undefined) return undefined;
  if (field.fieldKind === "list") {
    return (json, options) =>
      Array.isArray(json) ? json.map((item) => writeItem(item, options)) : json;
  }
  if (field.fieldKind !== "map") return writeItem;
  return (json, options) => {
    if (!isObject(json)) return json;
    return Object.fromEntries(
      Object.entries(json).map(([key, value]) => [key, writeItem(value, options)]),
    );
  };
}

function itemWriterOf({ message, scalar }: DescField): Write | undefined {
  if (message !== undefined) {
    if (!holdsFloats(message)) return undefined;
    return (json, options) => plansOf(message).write?.(json, options) ?? json;
  }
  if (scalar === ScalarType.FLOAT) {
    return (json, options) =>
      writeNumber(typeof json === "number" ? shortestFloat(json) : json, options);
  }
  return scalar === ScalarType.DOUBLE ? writeNumber : undefined;
}

function writeNumber(json: JsonValue, { onNegativeZero }: ProtoJsonWriteOptions): JsonValue {
  if (Object.is(json, -0)) onNegativeZero?.();
  return json;
}

function writeDynamic(json: JsonValue, options: ProtoJsonWriteOptions): JsonValue {
  if (Array.isArray(json)) for (const item of json) writeDynamic(item, options);
  else if (isObject(json)) for (const name in json) writeDynamic(json[name] ?? null, options);
  return writeNumber(json, options);
}

/**
 * Returns the number with the fewest digits that a float reads as this one: 0.1, not
 * 0.10000000149011612.
 */
export function shortestFloat(value: number): number {
  // A handler may have set a double.
  const float = Math.fround(value);
  // toPrecision drops the sign of a zero.
  if (float === 0) return float;
  // A float keeps six decimal digits, unless it is subnormal.
  for (let digits = Math.abs(float) < 2 ** -126 ? 1 : 6; digits < 9; digits += 1) {
    const candidate = Number(float.toPrecision(digits));
    if (Math.fround(candidate) === float) return candidate;
  }
  return Number(float.toPrecision(9));
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
