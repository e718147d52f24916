/**
 * JSON straight from an encoded message. A message that was decoded first, then turned into a JSON
 * value and then into text is allocated three times over; a list of operations is mostly strings,
 * which are nearly the same bytes in both encodings.
 *
 * A type is compiled once into plans of its fields. The writer walks through the bytes and writes
 * UTF-8 as it goes. It takes only what encoders usually write: fields in ascending order, each
 * singular field once, packed lists. Anything else (`unusual`) makes it give up, for the Any that it
 * is in or for the whole message, and `MessageJson` writes that part from the decoded message. So
 * the result is always what `MessageJson` and `JSON.stringify` write, byte for byte.
 */
import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Registry,
  ScalarType,
} from "@bufbuild/protobuf";
import { AnySchema, FeatureSet_FieldPresence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { typeNameFromUrl } from "../internal/type-url.js";
import { fieldsWithAny, isAny } from "./fields-with-any.js";
import { hasOwnJson, type MessageJson } from "./message-json.js";
import { shortestFloat } from "./proto-json.js";

/** Writes encoded messages as JSON. */
export interface EncodedJson {
  /**
   * Returns the JSON of an encoded message in UTF-8, with `<`, `>`, `&`, U+2028 and U+2029 escaped for
   * use in a page or a script. Returns undefined if the message has to be decoded first.
   *
   * @param pretty Whether lines are indented by two spaces, with a line break at the end.
   */
  write(desc: DescMessage, bytes: Uint8Array, pretty: boolean): Uint8Array<ArrayBuffer> | undefined;
}

/** @param json Writes the Anys that must be decoded first. */
export function createEncodedJson(registry: Registry, json: MessageJson): EncodedJson {
  const writer = new Writer(registry, json);
  return { write: (desc, bytes, pretty) => writer.write(desc, bytes, pretty) };
}

/** Thrown for bytes that must be decoded first. Not an Error, whose stack would cost most. */
const unusual = Symbol("unusual");
/** Thrown for a message that must be decoded as a whole. */
const tooDeep = Symbol("tooDeep");

/**
 * Objects and lists within each other, at most. A level is two messages of a Struct, and a decoder
 * refuses more than 100.
 */
const maxLevel = 32;
/** Entries of a map, at most: each key is compared with the keys before it. */
const maxEntries = 32;
/** Bytes of an output buffer that is kept for the next message, at most. */
const maxKeptBytes = 1 << 20;
/** Type URLs that are kept, at most: they are in payloads, and clients may send those. */
const maxTypes = 64;

/** The wire types of the encoding. */
const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

/**
 * Writes the value that the input has at the writer's position. Returns whether it is not the
 * zero of its type.
 *
 * @param end The end of the message that has the value.
 */
type WriteValue = (writer: Writer, end: number) => boolean;

interface FieldPlan {
  readonly tag: number;
  /** `"jsonName":` */
  readonly name: Uint8Array;
  /** Returns false for a value that JSON leaves out. */
  readonly write: WriteValue;
  /** A bit for the oneof of the field; 0 if it is in no oneof. */
  readonly oneof: number;
  /** Whether of two values the last one counts. */
  readonly isScalar: boolean;
  /** Whether the values follow each other, each with its tag. */
  readonly isRepeated: boolean;
}

interface MessagePlan {
  /** The plans by field number. Undefined if messages of this type must be decoded first. */
  readonly fields: ReadonlyMap<number, FieldPlan> | undefined;
  /** Writes a message whose JSON is not the object of its fields. */
  readonly own: ((writer: Writer, end: number) => void) | undefined;
}

/** A type that an Any has named. */
interface AnyType {
  readonly url: Uint8Array;
  readonly desc: DescMessage;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a byte is the same in a JSON string: ASCII apart from controls and `"&<>\`. */
const isPlain = new Uint8Array(256).fill(1, 0x20, 0x80);
for (const character of '"&<>\\') isPlain[character.charCodeAt(0)] = 0;

/** The escapes of JSON.stringify, and the ones for pages, by byte. */
const escapes: (Uint8Array | undefined)[] = Array.from({ length: 0x80 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  if (isPlain[unit] === 1) return undefined;
  return bytesOf(
    /[&<>]/.test(character) ? pageEscape(unit) : JSON.stringify(character).slice(1, -1),
  );
});
const lineSeparator = bytesOf(pageEscape(0x2028));
const paragraphSeparator = bytesOf(pageEscape(0x2029));

const base64Digits = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const nullText = bytesOf("null");
const trueText = bytesOf("true");
const falseText = bytesOf("false");
const typeMember = bytesOf('"@type":');
const valueMember = bytesOf('"value":');
const noBytes = new Uint8Array();
/** A DataView of each input would cost more than copying a few bytes. */
const fixedBytes = new Uint8Array(8);
const fixedView = new DataView(fixedBytes.buffer);

function bytesOf(text: string): Uint8Array {
  return utf8.encode(text);
}

function pageEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

class Writer {
  private input: Uint8Array = noBytes;
  /** The place of the next byte that is read. */
  private at = 0;
  /** The halves of the last integer of 64 bits that was read. */
  private low = 0;
  private high = 0;
  private output = new Uint8Array(4096);
  /** The place of the next byte that is written. */
  private to = 0;
  private isPretty = false;
  /** Objects and lists that are open in the output. */
  private level = 0;
  private readonly types: AnyType[] = [];
  /** The keys of the open maps: the start and the end of each in the input. */
  private readonly keys: number[] = [];

  constructor(
    private readonly registry: Registry,
    private readonly json: MessageJson,
  ) {}

  write(
    desc: DescMessage,
    bytes: Uint8Array,
    isPretty: boolean,
  ): Uint8Array<ArrayBuffer> | undefined {
    this.input = bytes;
    this.at = 0;
    this.to = 0;
    this.isPretty = isPretty;
    this.level = 0;
    this.keys.length = 0;
    try {
      this.message(planOf(desc), bytes.byteLength);
      if (isPretty) this.byte(0x0a);
      return this.output.slice(0, this.to);
    } catch (error) {
      if (error === unusual || error === tooDeep) return undefined;
      throw error;
    } finally {
      this.input = noBytes;
      if (this.output.byteLength > maxKeptBytes) this.output = new Uint8Array(4096);
    }
  }

  // The messages.

  /** Writes the message that the input has up to `end`. */
  message({ fields, own }: MessagePlan, end: number): void {
    if (own !== undefined) {
      own(this, end);
      if (this.at !== end) throw unusual;
      return;
    }
    this.open(0x7b);
    this.close(0x7d, this.members(fields, end, true));
  }

  /** Writes the fields of a message as members. Returns whether the object is still empty. */
  private members(fields: MessagePlan["fields"], end: number, wasEmpty: boolean): boolean {
    if (fields === undefined) throw unusual;
    const start = this.at;
    const begun = this.to;
    let isEmpty = wasEmpty;
    let last = 0;
    let oneofs = 0;
    while (this.at < end) {
      const tag = this.uint32(end);
      const field = fields.get(tag >>> 3);
      if (field === undefined) {
        this.skip(tag, end);
        continue;
      }
      if (tag <= last || (oneofs & field.oneof) !== 0) {
        this.to = begun;
        this.at = start;
        return this.membersInOrder(fields, end, wasEmpty);
      }
      if (tag !== field.tag) throw unusual;
      last = tag;
      oneofs |= field.oneof;
      const { to } = this;
      this.name(field.name, isEmpty);
      if (field.write(this, end)) isEmpty = false;
      else this.to = to;
    }
    if (this.at !== end) throw unusual;
    return isEmpty;
  }

  /**
   * Writes the fields of a message whose bytes have them in another order, or some of them twice: of
   * a singular field the last value counts. Metadata that this package keeps is such a message.
   */
  private membersInOrder(
    fields: ReadonlyMap<number, FieldPlan>,
    end: number,
    wasEmpty: boolean,
  ): boolean {
    const places = new Map<FieldPlan, number>();
    let before: FieldPlan | undefined;
    while (this.at < end) {
      const tag = this.uint32(end);
      const field = fields.get(tag >>> 3);
      if (field === undefined) {
        before = undefined;
        this.skip(tag, end);
        continue;
      }
      if (tag !== field.tag) throw unusual;
      const isNext = field.isRepeated && field === before;
      // Two values of a message or of a list are one together.
      if (places.has(field) && !isNext && !field.isScalar) throw unusual;
      if (field.oneof !== 0) {
        for (const other of places.keys()) if (other.oneof === field.oneof) places.delete(other);
      }
      if (!isNext) places.set(field, this.at);
      before = field;
      this.skip(tag, end);
    }
    if (this.at !== end) throw unusual;
    let isEmpty = wasEmpty;
    for (const field of fields.values()) {
      const place = places.get(field);
      if (place === undefined) continue;
      this.at = place;
      const { to } = this;
      this.name(field.name, isEmpty);
      if (field.write(this, end)) isEmpty = false;
      else this.to = to;
    }
    this.at = end;
    return isEmpty;
  }

  /** Writes an Any as `MessageJson` does. */
  any(end: number): void {
    const start = this.at;
    const { to, level } = this;
    const openKeys = this.keys.length;
    try {
      this.anyFields(end);
    } catch (error) {
      if (error !== unusual) throw error;
      this.to = to;
      this.level = level;
      this.keys.length = openKeys;
      this.value(this.decodedAny(start, end));
      this.at = end;
    }
  }

  private anyFields(end: number): void {
    const urlEnd = this.at < end && this.uint32(end) === 0x0a ? this.endOfLength(end) : this.at;
    this.open(0x7b);
    if (urlEnd === this.at) {
      if (this.at !== end) throw unusual;
      this.close(0x7d, true);
      return;
    }
    const type = this.typeAt(this.at, urlEnd);
    this.name(typeMember, true);
    this.text(urlEnd);
    if (this.at < end && this.uint32(end) !== 0x12) throw unusual;
    if (this.at < end && this.endOfLength(end) !== end) throw unusual;
    if (type === undefined) {
      this.name(valueMember, false);
      this.base64(end);
    } else if (hasOwnJson(type.desc)) {
      this.name(valueMember, false);
      this.message(planOf(type.desc), end);
    } else {
      this.members(planOf(type.desc).fields, end, false);
    }
    this.close(0x7d, false);
  }

  private decodedAny(start: number, end: number): JsonValue {
    let any = create(AnySchema);
    try {
      any = fromBinary(AnySchema, this.input.subarray(start, end));
    } catch {
      throw tooDeep;
    }
    return this.json.write(AnySchema, any);
  }

  /** Returns the type that a URL in the input names; undefined if it is not registered. */
  private typeAt(start: number, end: number): AnyType | undefined {
    const { types, input } = this;
    for (const type of types) if (this.isAt(type.url, start, end)) return type;
    const url = input.slice(start, end);
    const desc = this.registry.getMessage(typeNameFromUrl(textOf(url)));
    if (desc === undefined) return undefined;
    if (types.length >= maxTypes) types.length = 0;
    const type = { url, desc };
    types.push(type);
    return type;
  }

  private isAt(bytes: Uint8Array, start: number, end: number): boolean {
    const { input } = this;
    if (bytes.byteLength !== end - start) return false;
    for (let at = 0; at < bytes.byteLength; at += 1) {
      if (bytes[at] !== input[start + at]) return false;
    }
    return true;
  }

  /** Writes the entries of a map, whose keys are strings. */
  entries(tag: number, valueTag: number, write: WriteValue, end: number): void {
    const { keys } = this;
    const first = keys.length;
    let isEmpty = true;
    do {
      const entryEnd = this.endOfLength(end);
      if (this.uint32(entryEnd) !== 0x0a) throw unusual;
      const keyEnd = this.endOfLength(entryEnd);
      this.addKey(keyEnd, first);
      this.separate(isEmpty);
      this.text(keyEnd);
      this.byte(0x3a);
      if (this.isPretty) this.byte(0x20);
      if (this.uint32(entryEnd) !== valueTag) throw unusual;
      write(this, entryEnd);
      if (this.at !== entryEnd) throw unusual;
      isEmpty = false;
    } while (this.takeTag(tag, end));
    keys.length = first;
  }

  /** Refuses keys that a JavaScript object has once or in another order. */
  private addKey(end: number, first: number): void {
    const { keys, input, at } = this;
    // Objects have the keys that are array indexes before the others.
    const digit = input[at] ?? 0;
    if (end > at && digit >= 0x30 && digit <= 0x39) throw unusual;
    if (keys.length - first >= 2 * maxEntries) throw unusual;
    for (let index = first; index < keys.length; index += 2) {
      const start = keys[index] ?? 0;
      const length = (keys[index + 1] ?? 0) - start;
      if (length !== end - at) continue;
      let same = 0;
      while (same < length && input[start + same] === input[at + same]) same += 1;
      if (same === length) throw unusual;
    }
    keys.push(at, end);
  }

  // The input.

  /** Reads the low 32 bits of a varint. */
  uint32(end: number): number {
    const { input, at } = this;
    const first = input[at] ?? 0;
    if (first < 0x80 && at < end) {
      this.at = at + 1;
      return first;
    }
    this.uint64(end);
    return this.low >>> 0;
  }

  /** Reads a varint into `low` and `high`. */
  uint64(end: number): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= end) throw unusual;
      const byte = this.input[this.at] ?? 0;
      this.at += 1;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= (bits & 1) << 31;
      if (byte < 0x80) {
        this.low = low;
        this.high = high;
        return;
      }
    }
    throw unusual;
  }

  int32(end: number): number {
    return this.uint32(end) | 0;
  }

  bigint(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }

  /** Reads the length of a length-delimited field, and returns where its content ends. */
  endOfLength(end: number): number {
    const length = this.uint32(end);
    const contentEnd = this.at + length;
    if (contentEnd > end) throw unusual;
    return contentEnd;
  }

  isBefore(end: number): boolean {
    return this.at < end;
  }

  /** Whether the next tag is this one, which is read then. */
  takeTag(tag: number, end: number): boolean {
    const { at } = this;
    if (at >= end) return false;
    if (this.uint32(end) === tag) return true;
    this.at = at;
    return false;
  }

  private skip(tag: number, end: number): void {
    // Field numbers begin with 1.
    if (tag < 8) throw unusual;
    switch (tag & 7) {
      case varint:
        this.uint64(end);
        return;
      case fixed64:
        this.fixed(8, end);
        return;
      case lengthDelimited:
        this.at = this.endOfLength(end);
        return;
      case fixed32:
        this.fixed(4, end);
        return;
      default:
        throw unusual;
    }
  }

  /** Reads 4 or 8 bytes, of which `fixed` is a view until the next such call. */
  fixed(length: 4 | 8, end: number): DataView {
    const { input, at } = this;
    if (at + length > end) throw unusual;
    for (let index = 0; index < length; index += 1) fixedBytes[index] = input[at + index] ?? 0;
    this.at = at + length;
    return fixedView;
  }

  // The output.

  private reserve(length: number): void {
    const needed = this.to + length;
    if (needed <= this.output.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.output.byteLength));
    larger.set(this.output.subarray(0, this.to));
    this.output = larger;
  }

  byte(byte: number): void {
    this.reserve(1);
    this.output[this.to] = byte;
    this.to += 1;
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    const { output } = this;
    let { to } = this;
    for (let at = 0; at < bytes.byteLength; at += 1) {
      output[to] = bytes[at] ?? 0;
      to += 1;
    }
    this.to = to;
  }

  /** Writes text of ASCII alone. */
  ascii(text: string): void {
    this.reserve(text.length);
    for (let at = 0; at < text.length; at += 1) {
      this.output[this.to] = text.charCodeAt(at);
      this.to += 1;
    }
  }

  open(bracket: number): void {
    this.byte(bracket);
    this.level += 1;
    if (this.level > maxLevel) throw tooDeep;
  }

  close(bracket: number, isEmpty: boolean): void {
    this.level -= 1;
    if (!isEmpty && this.isPretty) this.indent();
    this.byte(bracket);
  }

  /** Begins the next member or item of the open object or list. */
  separate(isEmpty: boolean): void {
    if (!isEmpty) this.byte(0x2c);
    if (this.isPretty) this.indent();
  }

  private indent(): void {
    const spaces = 2 * this.level;
    this.reserve(1 + spaces);
    this.output[this.to] = 0x0a;
    this.output.fill(0x20, this.to + 1, this.to + 1 + spaces);
    this.to += 1 + spaces;
  }

  name(name: Uint8Array, isEmpty: boolean): void {
    this.separate(isEmpty);
    this.bytes(name);
    if (this.isPretty) this.byte(0x20);
  }

  number(value: number): void {
    if (Object.is(value, -0)) this.ascii("-0");
    else if (Number.isFinite(value)) this.ascii(String(value));
    else this.ascii(`"${value}"`);
  }

  /** Writes the string that the input has up to `end`. */
  text(end: number): void {
    const { input } = this;
    let { at } = this;
    this.reserve(6 * (end - at) + 2);
    const { output } = this;
    let { to } = this;
    let isValid = false;
    output[to++] = 0x22;
    for (; at < end; at += 1) {
      const unit = input[at] ?? 0;
      if (isPlain[unit] === 1) {
        output[to++] = unit;
        continue;
      }
      if (unit >= 0x80 && !isValid) {
        assertUtf8(input.subarray(at, end));
        isValid = true;
      }
      const escaped = unit < 0x80 ? escapes[unit] : separatorAt(input, at);
      if (escaped === undefined) output[to++] = unit;
      else {
        output.set(escaped, to);
        to += escaped.byteLength;
        if (unit >= 0x80) at += 2;
      }
    }
    output[to++] = 0x22;
    this.at = end;
    this.to = to;
  }

  /** Writes the bytes that the input has up to `end` in base64. */
  base64(end: number): void {
    const { input } = this;
    let { at } = this;
    this.reserve(4 * Math.ceil((end - at) / 3) + 2);
    const { output } = this;
    let { to } = this;
    output[to++] = 0x22;
    for (; at < end; at += 3) {
      const bits =
        ((input[at] ?? 0) << 16) |
        (at + 1 < end ? (input[at + 1] ?? 0) << 8 : 0) |
        (at + 2 < end ? (input[at + 2] ?? 0) : 0);
      output[to++] = base64Digits[bits >> 18] ?? 0;
      output[to++] = base64Digits[(bits >> 12) & 63] ?? 0;
      output[to++] = at + 1 < end ? (base64Digits[(bits >> 6) & 63] ?? 0) : 0x3d;
      output[to++] = at + 2 < end ? (base64Digits[bits & 63] ?? 0) : 0x3d;
    }
    output[to++] = 0x22;
    this.at = end;
    this.to = to;
  }

  /** Writes a JSON value. */
  private value(json: JsonValue): void {
    if (typeof json === "string") this.bytes(quoted(json));
    else if (typeof json === "number") this.number(json);
    else if (typeof json !== "object" || json === null) this.ascii(String(json));
    else if (Array.isArray(json)) {
      this.open(0x5b);
      for (const [index, item] of json.entries()) {
        this.separate(index === 0);
        this.value(item);
      }
      this.close(0x5d, json.length === 0);
    } else {
      this.open(0x7b);
      let isEmpty = true;
      for (const [name, value] of Object.entries(json)) {
        this.name(bytesOf(`${textOf(quoted(name))}:`), isEmpty);
        this.value(value);
        isEmpty = false;
      }
      this.close(0x7d, isEmpty);
    }
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw unusual;
  }
}

function assertUtf8(bytes: Uint8Array): void {
  textOf(bytes);
}

/** A string as JSON, escaped for pages. */
function quoted(text: string): Uint8Array {
  const json = JSON.stringify(text);
  return bytesOf(json.replace(/[<>&\u2028\u2029]/g, (found) => pageEscape(found.charCodeAt(0))));
}

/** The escape of U+2028 or U+2029, if the UTF-8 of one begins here. */
function separatorAt(input: Uint8Array, at: number): Uint8Array | undefined {
  if (input[at] !== 0xe2 || input[at + 1] !== 0x80) return undefined;
  if (input[at + 2] === 0xa8) return lineSeparator;
  return input[at + 2] === 0xa9 ? paragraphSeparator : undefined;
}

// The plans.

const plans = new WeakMap<DescMessage, MessagePlan>();

function planOf(desc: DescMessage): MessagePlan {
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
  // Anys are written in the order of the declarations, other fields by number.
  const isInOrder = fields.every(({ number }, at) => number > (fields[at - 1]?.number ?? 0));
  if (oneofs.length > 31 || !fields.every(isUsual)) return undefined;
  if (fieldsWithAny(desc).length > 0 && !isInOrder) return undefined;
  const byNumber = [...fields].sort((one, other) => one.number - other.number);
  return new Map(
    byNumber.map((field): [number, FieldPlan] => {
      const oneof = field.oneof === undefined ? 0 : 1 << oneofs.indexOf(field.oneof);
      const name = bytesOf(`${textOf(quoted(field.jsonName))}:`);
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
}

function isUsual(field: DescField): boolean {
  const { jsonName, presence, enum: enumDesc } = field;
  return (
    // Objects have other orders or setters for these names.
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

function varintOf(writer: Writer, end: number): bigint {
  writer.uint64(end);
  return writer.bigint();
}

const scalarWriters: Readonly<Record<ScalarType, WriteValue>> = {
  [ScalarType.DOUBLE]: numbers((writer, end) => writer.fixed(8, end).getFloat64(0, true)),
  [ScalarType.FLOAT]: numbers((writer, end) =>
    shortestFloat(writer.fixed(4, end).getFloat32(0, true)),
  ),
  [ScalarType.INT64]: integers((writer, end) => BigInt.asIntN(64, varintOf(writer, end))),
  [ScalarType.UINT64]: integers(varintOf),
  [ScalarType.SINT64]: integers((writer, end) => {
    const value = varintOf(writer, end);
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
    const value = varintOf(writer, end) !== 0n;
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
  const seconds = writer.takeTag(0x08, end) ? BigInt.asIntN(64, varintOf(writer, end)) : 0n;
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
  // From 0001-01-01 to 9999-12-31.
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
