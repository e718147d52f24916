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
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { typeNameFromUrl } from "../internal/type-url.js";
import {
  type FieldPlan,
  type FieldPlans,
  fixed32,
  fixed64,
  lengthDelimited,
  type MessagePlan,
  planOf,
  varint,
  type Writer,
  type WriteValue,
} from "./field-plans.js";
import {
  assertUtf8,
  bytesOf,
  type Name,
  nameOf,
  pageEscape,
  quoted,
  textOf,
  unusual,
} from "./json-text.js";
import { hasOwnJson, type MessageJson } from "./message-json.js";

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
  const writer = new EncodedWriter(registry, json);
  return { write: (desc, bytes, pretty) => writer.write(desc, bytes, pretty) };
}

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

/** A type that an Any has named. */
interface AnyType {
  readonly url: Uint8Array;
  /** The URL as JSON. */
  readonly text: Uint8Array;
  readonly hasOwnJson: boolean;
  readonly plan: MessagePlan;
}

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
const typeMember = nameOf("@type");
const valueMember = nameOf("value");
const noBytes = new Uint8Array();
/** A DataView of each input would cost more than copying a few bytes. */
const fixedBytes = new Uint8Array(8);
const fixedView = new DataView(fixedBytes.buffer);

class EncodedWriter implements Writer {
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

  // The following methods read and write messages.

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
      const field = fields.small[tag >>> 3] ?? fields.all.get(tag >>> 3);
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
  private membersInOrder(fields: FieldPlans, end: number, wasEmpty: boolean): boolean {
    const places = new Map<FieldPlan, number>();
    let before: FieldPlan | undefined;
    while (this.at < end) {
      const tag = this.uint32(end);
      const field = fields.small[tag >>> 3] ?? fields.all.get(tag >>> 3);
      if (field === undefined) {
        before = undefined;
        this.skip(tag, end);
        continue;
      }
      if (tag !== field.tag) throw unusual;
      const isNext = field.isRepeated && field === before;
      // Protobuf-ES reads such input: it merges the values of a message field that occurs twice,
      // and joins the separate runs of a repeated field.
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
    for (const field of fields.all.values()) {
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
    this.open(0x7b);
    if (this.at === end) {
      this.close(0x7d, true);
      return;
    }
    if (this.uint32(end) !== 0x0a) throw unusual;
    const urlEnd = this.endOfLength(end);
    if (urlEnd === this.at) throw unusual;
    const type = this.typeAt(this.at, urlEnd);
    this.name(typeMember, true);
    if (type === undefined) this.text(urlEnd);
    else {
      this.bytes(type.text);
      this.at = urlEnd;
    }
    if (this.at < end && (this.uint32(end) !== 0x12 || this.endOfLength(end) !== end))
      throw unusual;
    if (type === undefined) {
      this.name(valueMember, false);
      this.base64(end);
    } else if (type.hasOwnJson) {
      this.name(valueMember, false);
      this.message(type.plan, end);
    } else {
      this.members(type.plan.fields, end, false);
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
    const text = textOf(url);
    const desc = this.registry.getMessage(typeNameFromUrl(text));
    if (desc === undefined) return undefined;
    if (types.length >= maxTypes) types.length = 0;
    const type = { url, text: quoted(text), hasOwnJson: hasOwnJson(desc), plan: planOf(desc) };
    types.push(type);
    return type;
  }

  private isAt(bytes: Uint8Array, start: number, end: number): boolean {
    const { input } = this;
    const { length } = bytes;
    if (length !== end - start) return false;
    // Names usually differ at their ends, so the comparison starts there.
    for (let at = length - 1; at >= 0; at -= 1) {
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
    // JavaScript objects order keys that are array indexes before all other keys.
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

  // The following methods read the input.

  /** Reads the low 32 bits of a varint. */
  uint32(end: number): number {
    const { input, at } = this;
    const first = input[at] ?? 0;
    if (first < 0x80 && at < end) {
      this.at = at + 1;
      return first;
    }
    this.varint(end);
    return this.low >>> 0;
  }

  /** Reads a varint into `low` and `high`. */
  private varint(end: number): void {
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

  uint64(end: number): bigint {
    this.varint(end);
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
        this.varint(end);
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

  // The following methods write the output.

  private reserve(length: number): void {
    if (this.to + length > this.output.byteLength) this.grow(this.to + length);
  }

  private grow(needed: number): void {
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
    const { length } = bytes;
    this.reserve(length);
    const { output, to } = this;
    this.to = to + length;
    // For a few bytes, `set` costs more than a loop.
    if (length > 16) output.set(bytes, to);
    else for (let at = 0; at < length; at += 1) output[to + at] = bytes[at] ?? 0;
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

  name({ first, next }: Name, isEmpty: boolean): void {
    if (!this.isPretty) {
      this.bytes(isEmpty ? first : next);
      return;
    }
    this.separate(isEmpty);
    this.bytes(first);
    this.byte(0x20);
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
        this.name(nameOf(name), isEmpty);
        this.value(value);
        isEmpty = false;
      }
      this.close(0x7d, isEmpty);
    }
  }
}

/** The escape of U+2028 or U+2029, if the UTF-8 of one begins here. */
function separatorAt(input: Uint8Array, at: number): Uint8Array | undefined {
  if (input[at] !== 0xe2 || input[at + 1] !== 0x80) return undefined;
  if (input[at + 2] === 0xa8) return lineSeparator;
  return input[at + 2] === 0xa9 ? paragraphSeparator : undefined;
}
