import { wildcardPieces } from "../../internal/wildcard.js";
import { CodeSchema } from "../../protos.js";
import {
  negated,
  type OperationFilter,
  type TextColumn,
  type TimeColumn,
} from "../../store/operation-filter.js";
import type { OperationState } from "../../store/operation-store.js";
import type { Comparator } from "../../store/value-test.js";
import {
  type Checked,
  type Condition,
  comparatorOf,
  isPresence,
  literalMismatch,
  operatorMismatch,
  orderFault,
} from "./condition.js";
import { booleanOf, enumNumberOf, int32Of, timestampNanosOf } from "./filter-literal.js";

/** Returns a condition on `done` or `cancel_requested`. */
export function booleanCondition(
  kind: "done" | "cancel-requested",
  condition: Condition,
): Checked<OperationFilter> {
  // A field is present if its value is not the default (AIP-160).
  if (isPresence(condition)) return { kind, value: true };
  const value = booleanOf(condition.literal);
  if (value === undefined) return literalMismatch(condition, "true or false");
  return (
    orderFault(condition, "a boolean") ?? { kind, value: value !== (condition.operator === "!=") }
  );
}

/** The states of an operation by their names in a filter. */
const stateByName: ReadonlyMap<string, OperationState> = new Map([
  ["BLOCKED", "blocked"],
  ["QUEUED", "queued"],
  ["RUNNING", "running"],
  ["DONE", "done"],
]);

/** Returns a condition on the state, which every record has. */
export function stateCondition(condition: Condition): Checked<OperationFilter> {
  if (isPresence(condition)) return { kind: "constant", value: true };
  const state = stateByName.get(condition.literal.text);
  if (state === undefined) {
    return literalMismatch(condition, `one of ${[...stateByName.keys()].join(", ")}`);
  }
  const filter = { kind: "state-in" as const, states: [state] };
  return (
    orderFault(condition, "a state") ?? (condition.operator === "!=" ? negated(filter) : filter)
  );
}

/** Returns a condition on the attempt, which every record has. */
export function attemptCondition(condition: Condition): Checked<OperationFilter> {
  // A field is present if its value is not the default (AIP-160).
  if (isPresence(condition)) return { kind: "attempt", operator: "!=", value: 0 };
  const value = int32Of(condition.literal);
  if (value === undefined) return literalMismatch(condition, "a whole number");
  return { kind: "attempt", operator: comparatorOf(condition), value };
}

/** Returns a condition on text that every record has. */
export function textCondition(column: TextColumn, condition: Condition): OperationFilter {
  if (isPresence(condition)) {
    // A field is present if its value is not the default (AIP-160). Every record has a name and a
    // method.
    return column === "principal"
      ? { kind: "text", column, operator: "!=", value: "" }
      : { kind: "constant", value: true };
  }
  const operator = comparatorOf(condition);
  const { text } = condition.literal;
  if (!text.includes("*") || !["=", "!="].includes(operator)) {
    return { kind: "text", column, operator, value: text };
  }
  const wildcard = { kind: "wildcard" as const, column, pieces: wildcardPieces(text) };
  return operator === "=" ? wildcard : { kind: "not", operand: wildcard };
}

/** Returns a condition on a time that the store assigns. */
export function timeCondition(column: TimeColumn, condition: Condition): Checked<OperationFilter> {
  if (isPresence(condition)) return presentTime(column);
  const nanos = timestampNanosOf(condition.literal);
  if (nanos === undefined) {
    return literalMismatch(condition, "a time such as 2026-01-02T03:04:05Z");
  }
  return microsCondition(column, comparatorOf(condition), nanos);
}

/** Returns a condition on `error.code`, by number or by name. */
export function errorCodeCondition(condition: Condition): Checked<OperationFilter> {
  // A field is present if its value is not the default (AIP-160).
  if (isPresence(condition)) return { kind: "error-code", operator: "!=", value: 0 };
  const operator = comparatorOf(condition);
  const { literal } = condition;
  const value = enumNumberOf(literal, CodeSchema);
  if (value === undefined) return literalMismatch(condition, "a google.rpc.Code, as in NOT_FOUND");
  const isName = int32Of(literal) === undefined;
  const fault = isName ? orderFault(condition, "compared with a name") : undefined;
  return fault ?? { kind: "error-code", operator, value };
}

/** Returns a condition on a message of the operation. A filter can test only its presence. */
export function presentCondition(
  column: "metadata" | "response" | "error",
  condition: Condition,
): Checked<OperationFilter> {
  return isPresence(condition)
    ? { kind: "present", column }
    : operatorMismatch(condition, "is a message");
}

/**
 * Compares a time in nanoseconds with whole microseconds. A time between two microseconds equals
 * neither, and is less than every microsecond after it.
 */
function microsCondition(column: TimeColumn, operator: Comparator, nanos: bigint): OperationFilter {
  const rest = ((nanos % 1000n) + 1000n) % 1000n;
  const micros = (nanos - rest) / 1000n;
  const isAfterAll = micros > BigInt(Number.MAX_SAFE_INTEGER);
  const isBeforeAll = micros < BigInt(Number.MIN_SAFE_INTEGER);
  const isNever: OperationFilter = { kind: "constant", value: false };
  const isBelow = operator === "<" || operator === "<=";
  if (isAfterAll || isBeforeAll) {
    if (operator === "=") return isNever;
    return operator === "!=" || isBelow === isAfterAll ? presentTime(column) : isNever;
  }
  const whole = { kind: "time" as const, column, micros: Number(micros) };
  if (rest === 0n) return { ...whole, operator };
  if (operator === "=") return isNever;
  if (operator === "!=") return presentTime(column);
  return { ...whole, operator: isBelow ? "<=" : ">" };
}

function presentTime(column: TimeColumn): OperationFilter {
  return column === "end_time" ? { kind: "present", column } : { kind: "constant", value: true };
}
