import { matchesWildcard, type WildcardPieces } from "../internal/wildcard.js";
import type { OperationState } from "./operation-state.js";
import {
  createPayloadReader,
  type PayloadCondition,
  type PayloadReader,
  type SerializedPayloads,
} from "./payload-condition.js";
import { type Comparator, compares } from "./value-test.js";

/**
 * A restriction of a list, as data, so that a store can translate it. `kind` distinguishes the
 * members.
 *
 * Every condition is true or false, never unknown. A condition on a field that a record does not
 * have is false, even with `!=`, and NOT of it is true. In SQL that is `COALESCE(end_time <> $1,
 * FALSE)`. NOT negates single conditions only.
 */
export type OperationFilter =
  /** All of them; true for none. */
  | { readonly kind: "and"; readonly operands: readonly OperationFilter[] }
  /** At least one of them; false for none. */
  | { readonly kind: "or"; readonly operands: readonly OperationFilter[] }
  | { readonly kind: "constant"; readonly value: boolean }
  | { readonly kind: "not"; readonly operand: FilterLeaf }
  | FilterLeaf;

/** One condition. */
export type FilterLeaf = ColumnCondition | PayloadCondition;

/** A condition that a store evaluates without reading a payload. */
export type ColumnCondition =
  | { readonly kind: "done"; readonly value: boolean }
  /** Whether a caller asked to cancel it. */
  | { readonly kind: "cancel-requested"; readonly value: boolean }
  /** Text in the order of its code points, which is that of its UTF-8 bytes (`COLLATE "C"`). */
  | {
      readonly kind: "text";
      readonly column: TextColumn;
      readonly operator: Comparator;
      readonly value: string;
    }
  /** Text that has these pieces in this order, and anything between them; case-sensitive. */
  | { readonly kind: "wildcard"; readonly column: TextColumn; readonly pieces: WildcardPieces }
  /** It is in one of these states. */
  | { readonly kind: "state-in"; readonly states: readonly OperationState[] }
  /** How often it was claimed. */
  | { readonly kind: "attempt"; readonly operator: Comparator; readonly value: number }
  /** One of these methods started it. */
  | { readonly kind: "method-in"; readonly methods: readonly string[] }
  /** The google.rpc.Code of its error; false for a record without one. */
  | { readonly kind: "error-code"; readonly operator: Comparator; readonly value: number }
  /** Whole microseconds since the epoch; false for a record without that time. */
  | {
      readonly kind: "time";
      readonly column: TimeColumn;
      readonly operator: Comparator;
      readonly micros: number;
    }
  /** Whether the record has it. */
  | { readonly kind: "present"; readonly column: "end_time" | "metadata" | "response" | "error" };

export type TextColumn = "name" | "method" | "principal";
export type TimeColumn = "create_time" | "update_time" | "end_time";

/** The fields that a filter reads. Every `OperationRecord` has them. */
export interface FilterableRecord extends SerializedPayloads {
  readonly name: string;
  readonly method: string;
  readonly principal: string;
  readonly state: OperationState;
  readonly attempt: number;
  readonly createTimeMicros: number;
  readonly updateTimeMicros: number;
  readonly cancelRequestTimeMicros: number | undefined;
  readonly endTimeMicros: number | undefined;
}

/** Returns the filter that matches exactly the records that this one does not, because no condition is unknown. */
export function negated(filter: OperationFilter): OperationFilter {
  switch (filter.kind) {
    case "and":
      return { kind: "or", operands: filter.operands.map(negated) };
    case "or":
      return { kind: "and", operands: filter.operands.map(negated) };
    case "not":
      return filter.operand;
    case "constant":
    case "done":
    case "cancel-requested":
      return { ...filter, value: !filter.value };
    case "text":
    case "attempt":
      return { ...filter, operator: negatedComparator[filter.operator] };
    case "time":
      // Only the end time may be absent from a record.
      return filter.column === "end_time"
        ? { kind: "not", operand: filter }
        : { ...filter, operator: negatedComparator[filter.operator] };
    case "wildcard":
    case "state-in":
    case "method-in":
    case "error-code":
    case "present":
    case "payload":
      return { kind: "not", operand: filter };
  }
}

const negatedComparator: Readonly<Record<Comparator, Comparator>> = {
  "=": "!=",
  "!=": "=",
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
};

/**
 * Whether a record passes a filter. A payload is decoded only if the result depends on it, and only
 * once. If it cannot be decoded or has another type than the condition expects, the condition is
 * false.
 */
export function matchesFilter(filter: OperationFilter, record: FilterableRecord): boolean {
  let reader: PayloadReader | undefined;
  return matches(filter, record, () => {
    reader ??= createPayloadReader(record);
    return reader;
  });
}

function matches(
  filter: OperationFilter,
  record: FilterableRecord,
  payloads: () => PayloadReader,
): boolean {
  switch (filter.kind) {
    case "and":
      return filter.operands.every((operand) => matches(operand, record, payloads));
    case "or":
      return filter.operands.some((operand) => matches(operand, record, payloads));
    case "not":
      return !matches(filter.operand, record, payloads);
    case "constant":
      return filter.value;
    case "done":
      return (record.state === "done") === filter.value;
    case "cancel-requested":
      return (record.cancelRequestTimeMicros !== undefined) === filter.value;
    case "text":
      return compares(filter.operator, record[filter.column], filter.value);
    case "wildcard":
      return matchesWildcard(filter.pieces, record[filter.column]);
    case "state-in":
      return filter.states.includes(record.state);
    case "attempt":
      return compares(filter.operator, record.attempt, filter.value);
    case "method-in":
      return filter.methods.includes(record.method);
    case "error-code": {
      const code = payloads().errorCode();
      return code !== undefined && compares(filter.operator, code, filter.value);
    }
    case "time": {
      const micros = timeOf(record, filter.column);
      return micros !== undefined && compares(filter.operator, micros, filter.micros);
    }
    case "present":
      return isPresent(record, filter.column);
    case "payload":
      return payloads().matches(filter);
  }
}

function timeOf(record: FilterableRecord, column: TimeColumn): number | undefined {
  switch (column) {
    case "create_time":
      return record.createTimeMicros;
    case "update_time":
      return record.updateTimeMicros;
    case "end_time":
      return record.endTimeMicros;
  }
}

function isPresent(
  record: FilterableRecord,
  column: Extract<OperationFilter, { kind: "present" }>["column"],
): boolean {
  switch (column) {
    case "end_time":
      return record.endTimeMicros !== undefined;
    case "metadata":
      return record.metadata !== undefined;
    case "response":
    case "error":
      return record.result?.kind === column;
  }
}
