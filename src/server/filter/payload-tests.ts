import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { AnySchema, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { wildcardPieces } from "../../internal/wildcard.js";
import {
  BadRequestSchema,
  DebugInfoSchema,
  ErrorInfoSchema,
  HelpSchema,
  LocalizedMessageSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../protos.js";
import type { PayloadStep } from "../../store/payload-condition.js";
import type { JsonTest, PlainValue, ValueTest } from "../../store/value-test.js";
import type { FilterFault } from "../errors.js";
import {
  type Checked,
  type Condition,
  comparatorOf,
  isFault,
  isPresence,
  literalMismatch,
  operatorMismatch,
  orderFault,
  presenceOfMember,
  unknownField,
} from "./condition.js";
import {
  booleanOf,
  bytesOf,
  durationNanosOf,
  enumNumberOf,
  jsonLiteralOf,
  mapKeyOf,
  numberOf,
  scalarIntegerOf,
  timestampNanosOf,
} from "./filter-literal.js";
import type { Part } from "./filter-syntax.js";

/** The path to a value of a message, and a test of the value. */
export interface ReachedTest {
  readonly path: readonly PayloadStep[];
  readonly test: ValueTest;
}

/**
 * The types as which a google.protobuf.Any within a payload is read. None of them has an Any, so
 * that the number of paths stays small.
 */
const detailTypes: readonly DescMessage[] = [
  ErrorInfoSchema,
  RetryInfoSchema,
  DebugInfoSchema,
  QuotaFailureSchema,
  PreconditionFailureSchema,
  BadRequestSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  HelpSchema,
  LocalizedMessageSchema,
];

/**
 * Returns the tests that a condition makes of a message. There is one test, or one for each type
 * that an Any on the way may have. `depth` is the position of the message's first field in the
 * condition's path.
 */
export function payloadTests(
  message: DescMessage,
  condition: Condition,
  depth: number,
): Checked<readonly ReachedTest[]> {
  return inMessage(message, { condition, depth, steps: [] });
}

/**
 * Returns the readings of a condition, one for each type of a payload, that have no fault. If all
 * of them have one, it returns the first value of a wrong type; else the fault that is furthest to
 * the right; and `nowhere` if no type has even the first part of the path.
 */
export function rightReadings<T>(
  readings: readonly Checked<readonly T[]>[],
  nowhere: FilterFault,
): Checked<readonly T[]> {
  const right = readings.flatMap((reading) => (isFault(reading) ? [] : reading));
  if (right.length > 0) return right;
  const faults = readings.filter(isFault);
  const mismatch = faults.find(({ reason }) => reason === "FILTER_TYPE_MISMATCH");
  return mismatch ?? faults.find(({ position }) => position > nowhere.position) ?? nowhere;
}

/** Returns the problem of a path part that is not a field of these messages. */
export function noSuchField(
  messages: readonly DescMessage[],
  owner: string,
  part: Part,
): FilterFault {
  const { text } = part;
  const meant = messages
    .flatMap(({ fields }) => fields)
    .find(({ localName, jsonName }) => text === localName || text === jsonName);
  const hint = meant === undefined ? "" : `; it is written ${meant.name}`;
  return unknownField(part, `${owner} has no field "${text}"${hint}`);
}

/** How far a condition's path has been followed. */
interface Way {
  readonly condition: Condition;
  /** How many parts of the path are behind. */
  readonly depth: number;
  readonly steps: readonly PayloadStep[];
}

/** The type of a value in a field, a list or a map. */
type ValueType =
  | { readonly kind: "scalar"; readonly scalar: ScalarType }
  | { readonly kind: "enum"; readonly enum: DescEnum }
  | { readonly kind: "message"; readonly message: DescMessage }
  | { readonly kind: "list"; readonly element: ValueType }
  | { readonly kind: "map"; readonly key: ScalarType; readonly value: ValueType };

function inMessage(message: DescMessage, way: Way): Checked<readonly ReachedTest[]> {
  const part = way.condition.path[way.depth];
  if (part === undefined) return atMessage(message, way);
  const field = message.fields.find(({ name }) => name === part.text);
  if (field === undefined) return noSuchField([message], message.typeName, part);
  return inValue(typeOf(field), advanced(way, { kind: "field", field }));
}

/** The path ends at a message. */
function atMessage(message: DescMessage, way: Way): Checked<readonly ReachedTest[]> {
  const { condition, steps } = way;
  if (isPresence(condition)) return reached(way, { kind: "present" });
  if (condition.operator !== ":") {
    return operatorMismatch(condition, `is a ${message.typeName}`);
  }
  if (steps.at(-1)?.kind === "element") {
    return operatorMismatch(condition, "holds messages and needs the name of a field in them");
  }
  return inMessage(message, { ...way, condition: presenceOfMember(condition) });
}

function inValue(type: ValueType, way: Way): Checked<readonly ReachedTest[]> {
  const { condition, depth } = way;
  const part = condition.path[depth];
  if (part === undefined && isPresence(condition)) return reached(way, { kind: "present" });
  switch (type.kind) {
    case "list":
      if (condition.operator !== ":")
        return operatorMismatch(condition, "goes through a repeated field");
      return inValue(type.element, { ...way, steps: [...way.steps, { kind: "element" }] });
    case "map":
      return inMap(type, way);
    case "message":
      return inKnownMessage(type.message, way);
    case "scalar":
    case "enum": {
      if (part !== undefined) return noFields(part, condition.path[depth - 1]);
      const test =
        type.kind === "enum" ? enumTest(type.enum, condition) : scalarTest(type.scalar, condition);
      return isFault(test) ? test : reached(way, test);
    }
  }
}

function inMap(
  type: Extract<ValueType, { kind: "map" }>,
  way: Way,
): Checked<readonly ReachedTest[]> {
  const { condition, depth } = way;
  const part = condition.path[depth] ?? condition.literal;
  const isAtEnd = part === condition.literal;
  if (isAtEnd && condition.operator !== ":") {
    return operatorMismatch(condition, "is a map and needs a key");
  }
  const key = mapKeyOf(part, type.key);
  if (key === undefined) {
    const problem = `"${part.text}" is no ${ScalarType[type.key].toLowerCase()}, as the map's keys are`;
    return { reason: "FILTER_TYPE_MISMATCH", position: part.position, problem };
  }
  const next = advanced(way, { kind: "key", key });
  return isAtEnd ? reached(next, { kind: "present" }) : inValue(type.value, next);
}

/** The types of google.protobuf that stand for something other than their fields. */
function inKnownMessage(message: DescMessage, way: Way): Checked<readonly ReachedTest[]> {
  const { condition, depth } = way;
  const part = condition.path[depth];
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
    case "google.protobuf.Duration": {
      if (part !== undefined) return noFields(part, condition.path[depth - 1]);
      const test = nanosTest(message, condition);
      return isFault(test) ? test : reached(way, test);
    }
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      return reached(way, jsonTest(condition, depth));
    case AnySchema.typeName:
      return part === undefined ? atMessage(message, way) : inAny(part, way);
  }
  const [value] = message.fields;
  if (isWrapperDesc(message) && part === undefined && value !== undefined) {
    const unwrapped: PayloadStep = { kind: "field", field: value };
    return inValue(typeOf(value), { ...way, steps: [...way.steps, unwrapped] });
  }
  return inMessage(message, way);
}

function inAny(part: Part, way: Way): Checked<readonly ReachedTest[]> {
  const readings = detailTypes.map((type) =>
    inMessage(type, { ...way, steps: [...way.steps, { kind: "unpack", type }] }),
  );
  // An Any is also read as its own type, so that a filter can name `type_url`.
  readings.push(inMessage(AnySchema, way));
  const types = [...detailTypes, AnySchema];
  return rightReadings(readings, noSuchField(types, "a detail of google.rpc", part));
}

function advanced(way: Way, step: PayloadStep): Way {
  return { ...way, depth: way.depth + 1, steps: [...way.steps, step] };
}

function reached({ steps }: Way, test: ValueTest): readonly ReachedTest[] {
  return [{ path: steps, test }];
}

function noFields(part: Part, owner: Part | undefined): FilterFault {
  return unknownField(part, `"${owner?.text ?? ""}" has no fields, so no "${part.text}"`);
}

function typeOf(field: DescField): ValueType {
  switch (field.fieldKind) {
    case "scalar":
      return { kind: "scalar", scalar: field.scalar };
    case "enum":
      return { kind: "enum", enum: field.enum };
    case "message":
      return { kind: "message", message: field.message };
    case "list":
      return { kind: "list", element: elementOf(field) };
    case "map":
      return { kind: "map", key: field.mapKey, value: mapValueOf(field) };
  }
}

function elementOf(field: DescField & { fieldKind: "list" }): ValueType {
  switch (field.listKind) {
    case "scalar":
      return { kind: "scalar", scalar: field.scalar };
    case "enum":
      return { kind: "enum", enum: field.enum };
    case "message":
      return { kind: "message", message: field.message };
  }
}

function mapValueOf(field: DescField & { fieldKind: "map" }): ValueType {
  switch (field.mapKind) {
    case "scalar":
      return { kind: "scalar", scalar: field.scalar };
    case "enum":
      return { kind: "enum", enum: field.enum };
    case "message":
      return { kind: "message", message: field.message };
  }
}

/** Returns the test of a scalar. */
function scalarTest(scalar: ScalarType, condition: Condition): Checked<ValueTest> {
  const { literal } = condition;
  switch (scalar) {
    case ScalarType.STRING:
      return stringTest(condition);
    case ScalarType.BYTES: {
      const value = bytesOf(literal);
      if (value === undefined) return literalMismatch(condition, "base64");
      const negated = condition.operator === "!=";
      return orderFault(condition, "of bytes") ?? { kind: "bytes", value, negated };
    }
    case ScalarType.BOOL:
      return (
        orderFault(condition, "a boolean") ??
        comparison(condition, booleanOf(literal), "true or false")
      );
    case ScalarType.DOUBLE:
      return comparison(condition, numberOf(literal), "a number");
    case ScalarType.FLOAT: {
      const value = numberOf(literal);
      // A float field that was set to 0.1 contains the float nearest to 0.1, so the literal is
      // rounded too.
      return comparison(condition, value === undefined ? value : Math.fround(value), "a number");
    }
    default:
      return comparison(
        condition,
        scalarIntegerOf(literal, scalar),
        `an integer of type ${ScalarType[scalar].toLowerCase()}`,
      );
  }
}

/** Returns the test of an enum, by the name or the number of a value. */
function enumTest(desc: DescEnum, condition: Condition): Checked<ValueTest> {
  return (
    orderFault(condition, "an enum") ??
    comparison(condition, enumNumberOf(condition.literal, desc), `a value of ${desc.typeName}`)
  );
}

/** Returns the test of a google.protobuf.Timestamp or Duration. */
function nanosTest({ typeName }: DescMessage, condition: Condition): Checked<ValueTest> {
  const isTime = typeName === "google.protobuf.Timestamp";
  const value = isTime ? timestampNanosOf(condition.literal) : durationNanosOf(condition.literal);
  if (value === undefined) {
    return literalMismatch(
      condition,
      isTime ? "a time such as 2026-01-02T03:04:05Z" : "seconds such as 1.5s",
    );
  }
  return { kind: "nanos", operator: comparatorOf(condition), value };
}

/** Returns the test of a google.protobuf.Struct, Value or ListValue. */
function jsonTest(condition: Condition, depth: number): JsonTest {
  const { operator, path, literal } = condition;
  const has = isPresence(condition) ? "present" : "has";
  return {
    kind: "json",
    keys: path.slice(depth).map(({ text }) => text),
    operator: operator === ":" ? has : operator,
    literal: jsonLiteralOf(literal),
  };
}

function stringTest(condition: Condition): ValueTest {
  const { text } = condition.literal;
  const operator = comparatorOf(condition);
  if (!text.includes("*") || !["=", "!="].includes(operator)) {
    return { kind: "compare", operator, value: text };
  }
  return { kind: "wildcard", pieces: wildcardPieces(text), negated: operator === "!=" };
}

function comparison(
  condition: Condition,
  value: PlainValue | undefined,
  expected: string,
): Checked<ValueTest> {
  if (value === undefined) return literalMismatch(condition, expected);
  return { kind: "compare", operator: comparatorOf(condition), value };
}
