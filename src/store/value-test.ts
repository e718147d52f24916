import type { JsonValue } from "@bufbuild/protobuf";
import { compareCodePoints } from "../internal/code-point-order.js";
import { isSameBytes } from "../internal/same-bytes.js";
import { matchesWildcard, type WildcardPieces } from "../internal/wildcard.js";

/** The comparison of a value with the value of a condition: `value < given`, and so on. */
export type Comparator = "=" | "!=" | "<" | "<=" | ">" | ">=";

/** A plain value. Both sides of a comparison have the same type. */
export type PlainValue = string | number | bigint | boolean;

/** A test of a single value of a payload, as data. `kind` distinguishes the members. */
export type ValueTest =
  /**
   * Scalars and enum numbers; bigint for 64-bit integers. Strings go by code points,
   * which is also the order of their UTF-8 bytes.
   */
  | { readonly kind: "compare"; readonly operator: Comparator; readonly value: PlainValue }
  /** A string with wildcards, or one that does not fit them. */
  | { readonly kind: "wildcard"; readonly pieces: WildcardPieces; readonly negated: boolean }
  | { readonly kind: "bytes"; readonly value: Uint8Array; readonly negated: boolean }
  /** A google.protobuf.Timestamp (since the epoch) or Duration, in nanoseconds. */
  | { readonly kind: "nanos"; readonly operator: Comparator; readonly value: bigint }
  /** A set message, a scalar that is not its default, a collection with an element, a key. */
  | { readonly kind: "present" }
  /** A google.protobuf.Struct, Value or ListValue, in its JSON form. */
  | JsonTest;

/** A test of a value whose type is known only when the value is read. */
export interface JsonTest {
  readonly kind: "json";
  /** The way into nested objects; empty for the value itself. */
  readonly keys: readonly string[];
  /** `has`: an array that contains the literal, an object that has it as a key, or a value equal to it. */
  readonly operator: Comparator | "has" | "present";
  /** The literal, which is compared by the type of the value. */
  readonly literal: JsonLiteral;
}

/** One literal, in each form in which it can be compared with a JSON value. */
export interface JsonLiteral {
  readonly text: string;
  /** The pieces of its text between wildcards. */
  readonly pieces: WildcardPieces;
  /** The number, boolean or null of the literal; undefined for other text, and for quoted text. */
  readonly value: number | boolean | null | undefined;
}

/** Whether a comparison of two values is true. */
export function compares(operator: Comparator, value: PlainValue, given: PlainValue): boolean {
  if (typeof value === "string" && typeof given === "string") {
    return holds(operator, compareCodePoints(value, given));
  }
  switch (operator) {
    case "=":
      return value === given;
    case "!=":
      return value !== given;
    case "<":
      return value < given;
    case "<=":
      return value <= given;
    case ">":
      return value > given;
    case ">=":
      return value >= given;
  }
}

/** Whether bytes equal the bytes of a test, or differ from them if the test is negated. */
export function passesBytes(
  test: Extract<ValueTest, { kind: "bytes" }>,
  value: Uint8Array,
): boolean {
  return isSameBytes(value, test.value) !== test.negated;
}

/** Whether a string fits the test's wildcards, or does not if it is negated. */
export function passesWildcard(
  test: Extract<ValueTest, { kind: "wildcard" }>,
  value: string,
): boolean {
  return matchesWildcard(test.pieces, value) !== test.negated;
}

/** Whether a JSON value passes a test, or a value that the keys lead to within it. */
export function passesJson(test: JsonTest, value: JsonValue, depth = 0): boolean {
  const key = test.keys[depth];
  if (key === undefined) return passesJsonLeaf(test, value);
  if (Array.isArray(value)) {
    const within = test.operator === "has" || test.operator === "present";
    return within && value.some((element) => passesJson(test, element, depth));
  }
  if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return false;
  const member = value[key];
  return member !== undefined && passesJson(test, member, depth + 1);
}

function passesJsonLeaf({ operator, literal }: JsonTest, value: JsonValue): boolean {
  if (operator === "present") return true;
  if (operator !== "has") return comparesJson(operator, value, literal);
  if (Array.isArray(value)) return value.some((element) => comparesJson("=", element, literal));
  if (value !== null && typeof value === "object") return Object.hasOwn(value, literal.text);
  return comparesJson("=", value, literal);
}

/** Arrays and objects compare with nothing; values of unlike types only differ. */
function comparesJson(operator: Comparator, value: JsonValue, literal: JsonLiteral): boolean {
  if (typeof value === "string") {
    if (operator === "=") return matchesWildcard(literal.pieces, value);
    if (operator === "!=") return !matchesWildcard(literal.pieces, value);
    return compares(operator, value, literal.text);
  }
  if (value !== null && typeof value === "object") return false;
  if (typeof value === "number" && typeof literal.value === "number") {
    return compares(operator, value, literal.value);
  }
  if (operator === "=") return value === literal.value;
  return operator === "!=" && value !== literal.value;
}

function holds(operator: Comparator, order: number): boolean {
  switch (operator) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}
