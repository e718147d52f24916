import { type DescEnum, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { wildcardPieces } from "../../internal/wildcard.js";
import type { JsonTest, PlainValue, ValueTest } from "../../store/value-test.js";
import {
  type Checked,
  type Condition,
  comparatorOf,
  isPresence,
  literalMismatch,
  orderFault,
} from "./condition.js";
import {
  booleanOf,
  bytesOf,
  durationNanosOf,
  enumNumberOf,
  jsonLiteralOf,
  numberOf,
  scalarIntegerOf,
  timestampNanosOf,
} from "./filter-literal.js";

/** What a condition asks of a scalar. */
export function scalarTest(scalar: ScalarType, condition: Condition): Checked<ValueTest> {
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
      // 0.1 is what the field holds where 0.1 was put into it.
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

/** What a condition asks of an enum, by the name or the number of a value. */
export function enumTest(desc: DescEnum, condition: Condition): Checked<ValueTest> {
  return (
    orderFault(condition, "an enum") ??
    comparison(condition, enumNumberOf(condition.literal, desc), `a value of ${desc.typeName}`)
  );
}

/** What a condition asks of a google.protobuf.Timestamp or Duration. */
export function nanosTest({ typeName }: DescMessage, condition: Condition): Checked<ValueTest> {
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

/** What a condition asks of a google.protobuf.Struct, Value or ListValue. */
export function jsonTest(condition: Condition, depth: number): JsonTest {
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
