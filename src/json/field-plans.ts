/**
 * How the fields of a type are written as JSON from their bytes. A type is compiled once.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { fieldsWithAny, isAny } from "./fields-with-any.js";
import { bytesOf, type Name, nameOf, quoted, unusual } from "./json-text.js";
import { shortestFloat } from "./proto-json.js";

/** The writer of one message, as the plans use it. `end` is the end of the message that has a value. */
export interface Writer {
  /** Whether the input goes on before this place. */
  isBefore(end: number): boolean;
  /** Whether the next tag is this one, which is read then. */
  takeTag(tag: number, end: number): boolean;
  /** Reads the length of a length-delimited field, and returns where its content ends. */
  endOfLength(end: number): number;
  /** Reads the low 32 bits of a varint. */
  uint32(end: number): number;
  int32(end: number): number;
  /** Reads a varint of 64 bits, without a sign. */
  uint64(end: number): bigint;
  /** Reads 4 or 8 bytes, of which the result is a view until the next such call. */
  fixed(length: 4 | 8, end: number): DataView;
  /** Writes the message that the input has up to `end`. */
  message(plan: MessagePlan, end: number): void;
  any(end: number): void;
  /** Writes the entries of a map, whose keys are strings. */
  entries(tag: number, valueTag: number, write: WriteValue, end: number): void;
  /** Writes the string that the input has up to `end`. */
  text(end: number): void;
  /** Writes the bytes that the input has up to `end` in base64. */
  base64(end: number): void;
  bytes(bytes: Uint8Array): void;
  /** Writes text of ASCII alone. */
  ascii(text: string): void;
  number(value: number): void;
  open(bracket: number): void;
  /** Begins the next member or item of the open object or list. */
  separate(isEmpty: boolean): void;
  close(bracket: number, isEmpty: boolean): void;
}

/** The wire types of the encoding. */
export const varint = 0;
export const fixed64 = 1;
export const lengthDelimited = 2;
export const fixed32 = 5;

/**
 * Writes the value that the input has at the writer's position. Returns whether it is not the
 * zero of its type.
 *
 * @param end The end of the message that has the value.
 */
export type WriteValue = (writer: Writer, end: number) => boolean;

export interface FieldPlan {
  readonly tag: number;
  readonly name: Name;
  /** Returns false for a value that JSON leaves out. */
  readonly write: WriteValue;
  /** A bit for the oneof of the field; 0 if it is in no oneof. */
  readonly oneof: number;
  /** Whether of two values the last one counts. */
  readonly isScalar: boolean;
  /** Whether the values follow each other, each with its tag. */
  readonly isRepeated: boolean;
}

/** The fields of a message, by number and in the order of the numbers. */
export interface FieldPlans {
  readonly all: ReadonlyMap<number, FieldPlan>;
  /** The fields with low numbers: a list is read faster than a map. */
  readonly small: readonly (FieldPlan | undefined)[];
}

export interface MessagePlan {
  /** The fields. Undefined if messages of this type must be decoded first. */
  readonly fields: FieldPlans | undefined;
  /** Writes a message whose JSON is not the object of its fields. */
  readonly own: ((writer: Writer, end: number) => void) | undefined;
}

const nullText = bytesOf("null");
const trueText = bytesOf("true");
const falseText = bytesOf("false");

const plans = new WeakMap<DescMessage, MessagePlan>();

/** Returns the plan of a type. */
export function planOf(desc: DescMessage): MessagePlan {
  let plan = plans.get(desc);
  if (plan === undefined) {
    const own = ownWriterOf(desc);
    plan = { own, fields: own === undefined ? fieldPlansOf(desc) : undefined };
    plans.set(desc, plan);
  }
  return plan;
}

function fieldPlansOf(desc: DescMessage): MessagePlan["fields"] {
  const { fields, oneofs } = desc;
  // Anys are written in the order of the declarations and other fields by number, so a message with
  // Anys needs both orders to be equal.
  const isInOrder = fields.every(({ number }, at) => number > (fields[at - 1]?.number ?? 0));
  if (oneofs.length > 31 || !fields.every(isUsual)) return undefined;
  if (fieldsWithAny(desc).length > 0 && !isInOrder) return undefined;
  const byNumber = [...fields].sort((one, other) => one.number - other.number);
  const all = new Map(
    byNumber.map((field): [number, FieldPlan] => {
      const oneof = field.oneof === undefined ? 0 : 1 << oneofs.indexOf(field.oneof);
      const name = nameOf(field.jsonName);
      const isList = field.fieldKind === "list" || field.fieldKind === "map";
      return [
        field.number,
        {
          name,
          oneof,
          tag: tagOf(field),
          write: fieldWriterOf(field),
          isScalar: !isList && field.message === undefined,
          isRepeated: isList && !(field.fieldKind === "list" && field.packed),
        },
      ];
    }),
  );
  return { all, small: Array.from({ length: 32 }, (_, number) => all.get(number)) };
}

function isUsual(field: DescField): boolean {
  const { jsonName, presence, enum: enumDesc } = field;
  return (
    // JavaScript objects order or set properties of these names in a special way.
    !/^(\d+|__proto__|@type)$/.test(jsonName) &&
    presence !== FeatureSet_FieldPresence.LEGACY_REQUIRED &&
    !("delimitedEncoding" in field && field.delimitedEncoding) &&
    enumDesc?.open !== false
  );
}

function tagOf(field: DescField): number {
  const isOne = field.fieldKind !== "map" && !(field.fieldKind === "list" && field.packed);
  return ((field.number << 3) | (isOne ? wireTypeOf(field) : lengthDelimited)) >>> 0;
}

function wireTypeOf({ message, enum: enumDesc, scalar }: DescField): number {
  if (message !== undefined) return lengthDelimited;
  if (enumDesc !== undefined) return varint;
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return lengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return fixed64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return fixed32;
    default:
      return varint;
  }
}

function fieldWriterOf(field: DescField): WriteValue {
  const write = valueWriterOf(field);
  if (field.fieldKind === "list") {
    return field.packed ? packedWriterOf(write) : listWriterOf(tagOf(field), write);
  }
  if (field.fieldKind === "map") {
    if (field.mapKey !== ScalarType.STRING) return refuse;
    const tag = tagOf(field);
    const valueTag = (2 << 3) | wireTypeOf(field);
    return (writer, end) => {
      writer.open(0x7b);
      writer.entries(tag, valueTag, write, end);
      writer.close(0x7d, false);
      return true;
    };
  }
  if (field.presence === FeatureSet_FieldPresence.IMPLICIT) return write;
  return (writer, end) => {
    write(writer, end);
    return true;
  };
}

function refuse(): never {
  throw unusual;
}

function listWriterOf(tag: number, write: WriteValue): WriteValue {
  return (writer, end) => {
    writer.open(0x5b);
    let isEmpty = true;
    do {
      writer.separate(isEmpty);
      write(writer, end);
      isEmpty = false;
    } while (writer.takeTag(tag, end));
    writer.close(0x5d, false);
    return true;
  };
}

function packedWriterOf(write: WriteValue): WriteValue {
  return (writer, end) => {
    const listEnd = writer.endOfLength(end);
    let isEmpty = true;
    writer.open(0x5b);
    while (writer.isBefore(listEnd)) {
      writer.separate(isEmpty);
      write(writer, listEnd);
      isEmpty = false;
    }
    writer.close(0x5d, isEmpty);
    return !isEmpty;
  };
}

/** Returns the writer of one value: of the field, of an item, or of an entry's value. */
function valueWriterOf({ message, enum: enumDesc, scalar }: DescField): WriteValue {
  if (message !== undefined) {
    return (writer, end) => {
      writer.message(planOf(message), writer.endOfLength(end));
      return true;
    };
  }
  if (enumDesc !== undefined) {
    const isNull = enumDesc.typeName === "google.protobuf.NullValue";
    const names = new Map(
      enumDesc.values.map(({ number }) => {
        const name = enumDesc.value[number]?.jsonName ?? "";
        return [number, isNull ? nullText : quoted(name)];
      }),
    );
    const zero = enumDesc.values[0]?.number;
    return (writer, end) => {
      const value = writer.int32(end);
      const name = isNull ? nullText : names.get(value);
      if (name === undefined) writer.number(value);
      else writer.bytes(name);
      return value !== zero;
    };
  }
  return scalar === undefined ? refuse : scalarWriters[scalar];
}

/** A writer of the numbers that `read` returns. */
function numbers(read: (writer: Writer, end: number) => number): WriteValue {
  return (writer, end) => {
    const value = read(writer, end);
    writer.number(value);
    return !Object.is(value, 0);
  };
}

/** A writer of integers of 64 bits, which are strings in JSON. */
function integers(read: (writer: Writer, end: number) => bigint): WriteValue {
  return (writer, end) => {
    const value = read(writer, end);
    writer.ascii(`"${value}"`);
    return value !== 0n;
  };
}

const scalarWriters: Readonly<Record<ScalarType, WriteValue>> = {
  [ScalarType.DOUBLE]: numbers((writer, end) => writer.fixed(8, end).getFloat64(0, true)),
  [ScalarType.FLOAT]: numbers((writer, end) =>
    shortestFloat(writer.fixed(4, end).getFloat32(0, true)),
  ),
  [ScalarType.INT64]: integers((writer, end) => BigInt.asIntN(64, writer.uint64(end))),
  [ScalarType.UINT64]: integers((writer, end) => writer.uint64(end)),
  [ScalarType.SINT64]: integers((writer, end) => {
    const value = writer.uint64(end);
    return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
  }),
  [ScalarType.FIXED64]: integers((writer, end) => writer.fixed(8, end).getBigUint64(0, true)),
  [ScalarType.SFIXED64]: integers((writer, end) => writer.fixed(8, end).getBigInt64(0, true)),
  [ScalarType.INT32]: numbers((writer, end) => writer.int32(end)),
  [ScalarType.UINT32]: numbers((writer, end) => writer.uint32(end)),
  [ScalarType.SINT32]: numbers((writer, end) => {
    const value = writer.uint32(end);
    // The exclusive or of zero and -0 is zero.
    return (value >>> 1) ^ -(value & 1);
  }),
  [ScalarType.FIXED32]: numbers((writer, end) => writer.fixed(4, end).getUint32(0, true)),
  [ScalarType.SFIXED32]: numbers((writer, end) => writer.fixed(4, end).getInt32(0, true)),
  [ScalarType.BOOL]: (writer, end) => {
    const value = writer.uint64(end) !== 0n;
    writer.bytes(value ? trueText : falseText);
    return value;
  },
  [ScalarType.STRING]: (writer, end) => {
    const textEnd = writer.endOfLength(end);
    const isSet = writer.isBefore(textEnd);
    writer.text(textEnd);
    return isSet;
  },
  [ScalarType.BYTES]: (writer, end) => {
    const bytesEnd = writer.endOfLength(end);
    const isSet = writer.isBefore(bytesEnd);
    writer.base64(bytesEnd);
    return isSet;
  },
};

/** The writers of types whose JSON is not the object of their fields. */
function ownWriterOf(desc: DescMessage): MessagePlan["own"] {
  const [field] = isWrapperDesc(desc) ? desc.fields : [];
  if (field !== undefined) return wrapperWriterOf(field);
  if (isAny(desc)) return (writer, end) => writer.any(end);
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return (writer, end) => writer.ascii(timestampText(timeOf(writer, end)));
    case "google.protobuf.Duration":
      return (writer, end) => writer.ascii(durationText(timeOf(writer, end)));
    case "google.protobuf.FieldMask":
      return refuse;
    case "google.protobuf.Struct":
      return writeStruct;
    case "google.protobuf.Value":
      return writeValue;
    case "google.protobuf.ListValue":
      return writeListValue;
    default:
      return undefined;
  }
}

function wrapperWriterOf(field: DescField): MessagePlan["own"] {
  const write = valueWriterOf(field);
  const tag = tagOf(field);
  const zero = bytesOf(zeroText(field.scalar));
  return (writer, end) => {
    if (writer.takeTag(tag, end)) write(writer, end);
    else writer.bytes(zero);
  };
}

function zeroText(scalar: ScalarType | undefined): string {
  switch (scalar) {
    case ScalarType.BOOL:
      return "false";
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '""';
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return '"0"';
    default:
      return "0";
  }
}

/** Reads a Timestamp or a Duration. */
function timeOf(writer: Writer, end: number): { seconds: bigint; nanos: number } {
  const seconds = writer.takeTag(0x08, end) ? BigInt.asIntN(64, writer.uint64(end)) : 0n;
  const nanos = writer.takeTag(0x10, end) ? writer.int32(end) : 0;
  return { seconds, nanos };
}

/** The fraction of a second with 0, 3, 6 or 9 digits. */
function fractionText(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  if (digits.endsWith("000000")) return `.${digits.slice(0, 3)}`;
  return `.${digits.endsWith("000") ? digits.slice(0, 6) : digits}`;
}

function timestampText({ seconds, nanos }: { seconds: bigint; nanos: number }): string {
  const ms = Number(seconds) * 1000;
  // The range is from 0001-01-01 to 9999-12-31.
  if (ms < -62_135_596_800_000 || ms > 253_402_300_799_000) throw unusual;
  if (nanos < 0 || nanos > 999_999_999) throw unusual;
  return `"${new Date(ms).toISOString().slice(0, 19)}${fractionText(nanos)}Z"`;
}

function durationText({ seconds, nanos }: { seconds: bigint; nanos: number }): string {
  if (seconds > 315_576_000_000n || seconds < -315_576_000_000n) throw unusual;
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) throw unusual;
  if (Math.abs(nanos) > 999_999_999) throw unusual;
  const sign = seconds === 0n && nanos < 0 ? "-" : "";
  return `"${sign}${seconds}${fractionText(Math.abs(nanos))}s"`;
}

function writeStruct(writer: Writer, end: number): void {
  writer.open(0x7b);
  const isEmpty = !writer.takeTag(0x0a, end);
  if (!isEmpty) writer.entries(0x0a, 0x12, writeNestedValue, end);
  writer.close(0x7d, isEmpty);
}

function writeListValue(writer: Writer, end: number): void {
  writer.open(0x5b);
  let isEmpty = true;
  while (writer.takeTag(0x0a, end)) {
    writer.separate(isEmpty);
    writeNestedValue(writer, end);
    isEmpty = false;
  }
  writer.close(0x5d, isEmpty);
}

function writeNestedValue(writer: Writer, end: number): boolean {
  const valueEnd = writer.endOfLength(end);
  writeValue(writer, valueEnd);
  if (writer.isBefore(valueEnd)) throw unusual;
  return true;
}

function writeValue(writer: Writer, end: number): void {
  switch (writer.uint32(end)) {
    case 0x08:
      writer.uint64(end);
      writer.bytes(nullText);
      return;
    case 0x11: {
      const value = writer.fixed(8, end).getFloat64(0, true);
      if (!Number.isFinite(value)) throw unusual;
      writer.number(value);
      return;
    }
    case 0x1a:
      writer.text(writer.endOfLength(end));
      return;
    case 0x20:
      scalarWriters[ScalarType.BOOL](writer, end);
      return;
    case 0x2a: {
      const structEnd = writer.endOfLength(end);
      writeStruct(writer, structEnd);
      if (writer.isBefore(structEnd)) throw unusual;
      return;
    }
    case 0x32: {
      const listEnd = writer.endOfLength(end);
      writeListValue(writer, listEnd);
      if (writer.isBefore(listEnd)) throw unusual;
      return;
    }
    default:
      throw unusual;
  }
}
