import type { ColumnCondition, OperationFilter } from "../operation-filter.js";
import { escapeNul } from "../sql/nul-escape.js";
import type { SqliteValue } from "./sqlite-driver.js";

/** A condition on a row, with the values of its parameters. */
export interface Condition {
  readonly text: string;
  readonly values: readonly SqliteValue[];
}

/** What `filterSql` looks at: columns of `operations`, and some that are made of them. */
export const filterColumns = `name, method, create_time, update_time, end_time,
  cancel_request_time, result_kind, metadata is not null as has_metadata`;

/** A filter as far as SQL says it. */
export interface FilterSql {
  /** Every match meets it; what meets it may be none. */
  readonly condition: Condition;
  /** Whether what meets it is a match. */
  readonly isExact: boolean;
}

/** The condition that a filter comes to, over `filterColumns`. */
export function filterSql(filter: OperationFilter): FilterSql {
  const condition = bound(filter, true);
  const isExact = condition.text === bound(filter, false).text;
  return { condition, isExact };
}

const always: Condition = { text: "1", values: [] };
const never: Condition = { text: "0", values: [] };

/**
 * A condition that holds for every match, `upper`, or for matches alone. The two are the
 * same where SQL can say what the filter does. NOT turns one into the other.
 */
function bound(filter: OperationFilter, upper: boolean): Condition {
  switch (filter.kind) {
    case "and":
      return joined("and", filter.operands, upper) ?? always;
    case "or":
      return joined("or", filter.operands, upper) ?? never;
    case "not": {
      const { text, values } = bound(filter.operand, !upper);
      return { text: `not ${text}`, values };
    }
    case "constant":
      return filter.value ? always : never;
    case "payload":
      return upper ? always : never;
    default:
      return columnBound(filter, upper);
  }
}

function joined(
  operator: "and" | "or",
  operands: readonly OperationFilter[],
  upper: boolean,
): Condition | undefined {
  if (operands.length === 0) return undefined;
  const conditions = operands.map((operand) => bound(operand, upper));
  return {
    text: `(${conditions.map(({ text }) => text).join(` ${operator} `)})`,
    values: conditions.flatMap(({ values }) => values),
  };
}

/** Never NULL, as a filter's conditions are true or false. */
function columnBound(filter: ColumnCondition, upper: boolean): Condition {
  switch (filter.kind) {
    case "done":
      return { text: `(end_time is ${filter.value ? "not null" : "null"})`, values: [] };
    case "cancel-requested":
      return { text: `(cancel_request_time is ${filter.value ? "not null" : "null"})`, values: [] };
    case "text":
      // The order of escaped text is another.
      if (filter.operator !== "=" && filter.operator !== "!=") return upper ? always : never;
      return {
        text: `(${filter.column} ${filter.operator} ?)`,
        values: [escapeNul(filter.value)],
      };
    case "wildcard": {
      if (!upper) return never;
      // GLOB could say it, in a time that nobody vouches for.
      const pieces = filter.pieces.filter((piece) => piece !== "").map(escapeNul);
      const contains = pieces.map(() => `instr(${filter.column}, ?) > 0`);
      return { text: `(${["1", ...contains].join(" and ")})`, values: pieces };
    }
    case "method-in":
      return {
        text: `(method in (${filter.methods.map(() => "?").join(", ")}))`,
        values: filter.methods.map(escapeNul),
      };
    case "error-code":
      return upper ? { text: "coalesce(result_kind = 'error', 0)", values: [] } : never;
    case "time":
      return {
        text: `coalesce(${filter.column} ${filter.operator} ?, 0)`,
        values: [filter.micros],
      };
    case "present":
      return { text: presence(filter.column), values: [] };
  }
}

function presence(column: Extract<ColumnCondition, { kind: "present" }>["column"]): string {
  switch (column) {
    case "end_time":
      return "(end_time is not null)";
    case "metadata":
      return "has_metadata";
    case "response":
    case "error":
      return `coalesce(result_kind = '${column}', 0)`;
  }
}
