import type { Comparator } from "../../store/value-test.js";
import type { FilterFault } from "../errors.js";
import type { Comparison, Literal, Part } from "./filter-syntax.js";
import { printPath } from "./filter-syntax.js";

/** One path compared with one literal. */
export interface Condition {
  readonly path: readonly Part[];
  readonly operator: Comparison["operator"];
  /** The column of the operator. */
  readonly position: number;
  readonly literal: Literal;
}

/**
 * A value, or the problem that prevents it. A condition may be a problem for one payload type and
 * valid for the next type.
 */
export type Checked<T extends object> = T | FilterFault;

export function isFault<T extends object>(checked: Checked<T>): checked is FilterFault {
  return "problem" in checked;
}

/** Whether a condition tests only the presence of its path: `path:*`. */
export function isPresence({ operator, literal }: Condition): boolean {
  return operator === ":" && literal.text === "*" && !literal.quoted;
}

/** Returns the operator for a single value. The operator "has" (`:`) means equality. */
export function comparatorOf({ operator }: Condition): Comparator {
  return operator === ":" ? "=" : operator;
}

/** Returns `path:name` on a message as `path.name:*`, which tests the presence of a field. */
export function presenceOfMember(condition: Condition): Condition {
  const { path, literal } = condition;
  return {
    ...condition,
    path: [...path, literal],
    literal: { ...literal, text: "*", quoted: false },
  };
}

export function unknownField({ position }: Part, problem: string): FilterFault {
  return { reason: "UNKNOWN_FILTER_FIELD", position, problem };
}

/** Returns the fault of a literal that is not a value of the field's type. */
export function literalMismatch(condition: Condition, expected: string): FilterFault {
  const { path, literal } = condition;
  const problem = `${printPath(path)} is compared with ${expected}, and "${literal.text}" is none`;
  return { reason: "FILTER_TYPE_MISMATCH", position: literal.position, problem };
}

/** Returns the fault of an operator that the field's type does not have. */
export function operatorMismatch(
  { path, operator, position }: Condition,
  why: string,
): FilterFault {
  const problem = `${printPath(path)} ${why}, so "${operator}" does not apply`;
  return { reason: "FILTER_TYPE_MISMATCH", position, problem };
}

/**
 * Returns the problem of an operator for values without an order, which are only equal or not.
 * Returns undefined for `=`, `!=` and `:`.
 */
export function orderFault(condition: Condition, what: string): FilterFault | undefined {
  return ["=", "!=", ":"].includes(condition.operator)
    ? undefined
    : operatorMismatch(condition, `is ${what} and has no order`);
}
