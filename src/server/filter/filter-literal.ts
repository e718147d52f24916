import { type DescEnum, fromJson, ScalarType } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { wildcardPieces } from "../../internal/wildcard.js";
import type { JsonLiteral } from "../../store/value-test.js";
import type { Literal } from "./filter-syntax.js";

/*
 * Reads a literal by the type of the field that it is compared with (AIP-160). Quotes make no
 * difference. A literal that is not a value of the type reads as undefined.
 */

/** Returns the boolean of `true` and `false`. */
export function booleanOf({ text }: Literal): boolean | undefined {
  return text === "true" ? true : text === "false" ? false : undefined;
}

const integer = /^-?\d+$/;
const decimal = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Returns the integer of a literal within these bounds. */
export function integerOf({ text }: Literal, least: bigint, most: bigint): bigint | undefined {
  // No scalar type has more digits. The time to parse a longer number is not linear in its length.
  if (!integer.test(text) || text.length > 40) return undefined;
  const value = BigInt(text);
  return value >= least && value <= most ? value : undefined;
}

/** Reads a number, which may have a fraction and an exponent. */
export function numberOf({ text }: Literal): number | undefined {
  if (text === "Infinity") return Number.POSITIVE_INFINITY;
  if (text === "-Infinity") return Number.NEGATIVE_INFINITY;
  return decimal.test(text) ? Number(text) : undefined;
}

/** Returns the number of an enum value, given its name or its number. */
export function enumNumberOf(literal: Literal, desc: DescEnum): number | undefined {
  const named = desc.values.find(({ name }) => name === literal.text);
  return named?.number ?? int32Of(literal);
}

/** Returns a signed integer of 32 bits. */
export function int32Of(literal: Literal): number | undefined {
  const value = integerOf(literal, -(2n ** 31n), 2n ** 31n - 1n);
  return value === undefined ? undefined : Number(value);
}

/** Returns the nanoseconds since the epoch of an RFC 3339 time with any offset. */
export function timestampNanosOf({ text }: Literal): bigint | undefined {
  const json = text.toUpperCase();
  const date = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):/.exec(json);
  if (date === null || !isDate(Number(date[1]), Number(date[2]), Number(date[3]))) return undefined;
  return nanosOf(() => fromJson(TimestampSchema, json));
}

/** Returns the nanoseconds of a number of seconds with the suffix `s`. */
export function durationNanosOf({ text }: Literal): bigint | undefined {
  if (!/^-?\d+(?:\.\d{1,9})?s$/.test(text)) return undefined;
  return nanosOf(() => fromJson(DurationSchema, text));
}

/** Returns the bytes of base64, in the standard alphabet or the alphabet for URLs. */
export function bytesOf({ text }: Literal): Uint8Array | undefined {
  try {
    return base64Decode(text);
  } catch {
    return undefined;
  }
}

/** Returns the forms in which a literal can be compared with a JSON value. */
export function jsonLiteralOf(literal: Literal): JsonLiteral {
  const { text, quoted } = literal;
  const plain = text === "null" ? null : (booleanOf(literal) ?? numberOf(literal));
  return { text, pieces: wildcardPieces(text), value: quoted ? undefined : plain };
}

/** Returns the value of a key of a map. */
export function mapKeyOf(
  literal: Literal,
  type: ScalarType,
): string | number | bigint | boolean | undefined {
  switch (type) {
    case ScalarType.STRING:
      return literal.text;
    case ScalarType.BOOL:
      return booleanOf(literal);
    default:
      return scalarIntegerOf(literal, type);
  }
}

/** Returns an integer of a scalar type: a bigint for 64 bits, a number for 32 bits. */
export function scalarIntegerOf(literal: Literal, type: ScalarType): number | bigint | undefined {
  switch (type) {
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return int32Of(literal);
    case ScalarType.UINT32:
    case ScalarType.FIXED32: {
      const value = integerOf(literal, 0n, 2n ** 32n - 1n);
      return value === undefined ? undefined : Number(value);
    }
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return integerOf(literal, 0n, 2n ** 64n - 1n);
    default:
      return integerOf(literal, -(2n ** 63n), 2n ** 63n - 1n);
  }
}

/** Protobuf-ES takes February 30th for March 2nd, as JavaScript does. */
function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function nanosOf(read: () => { seconds: bigint; nanos: number }): bigint | undefined {
  try {
    const { seconds, nanos } = read();
    return seconds * 1_000_000_000n + BigInt(nanos);
  } catch {
    return undefined;
  }
}
