import type { WildcardPieces } from "../../internal/wildcard.js";
import type { ColumnCondition, FilterLeaf, OperationFilter } from "../operation-filter.js";
import { escapeNul } from "./nul-escape.js";

/** The parts of a filter's SQL that differ between databases. */
export interface FilterDialect {
  /** The text that stands for a value in the statement. Values are added in the order of the text. */
  add(value: string | number): string;
  /** Text before the name of each column: nothing, or the table's alias and a dot. */
  readonly prefix: string;
  /** An expression for a time in microseconds, as the columns of times hold it. */
  time(micros: number): string;
  /** Whether the condition of `wildcard` is exact, and not only necessary. */
  readonly decidesWildcards: boolean;
  /** A condition that holds for all text of a column that has these pieces in this order. */
  wildcard(column: string, pieces: WildcardPieces): string;
}

/**
 * Returns the SQL condition of a filter. Every match meets it, and it is never NULL. If
 * `isDecidedBySql` is true, only matches meet it. Otherwise `matchesFilter` must check the rows
 * that meet it.
 */
export function filterSql(filter: OperationFilter, dialect: FilterDialect): string {
  const each = (operands: readonly OperationFilter[]) =>
    operands.map((operand) => filterSql(operand, dialect));
  switch (filter.kind) {
    case "and":
      return `(${["true", ...each(filter.operands)].join(" and ")})`;
    case "or":
      return `(${["false", ...each(filter.operands)].join(" or ")})`;
    case "constant":
      return String(filter.value);
    case "not":
      // The negation of a necessary condition is neither necessary nor sufficient.
      return isDecidedLeaf(filter.operand, dialect)
        ? `not ${leafSql(filter.operand, dialect)}`
        : "true";
    default:
      return leafSql(filter, dialect);
  }
}

/** Whether only matches meet the condition of `filterSql`. */
export function isDecidedBySql(
  filter: OperationFilter,
  dialect: Pick<FilterDialect, "decidesWildcards">,
): boolean {
  switch (filter.kind) {
    case "and":
    case "or":
      return filter.operands.every((operand) => isDecidedBySql(operand, dialect));
    case "constant":
      return true;
    case "not":
      return isDecidedLeaf(filter.operand, dialect);
    default:
      return isDecidedLeaf(filter, dialect);
  }
}

function isDecidedLeaf(
  leaf: FilterLeaf,
  { decidesWildcards }: Pick<FilterDialect, "decidesWildcards">,
): boolean {
  switch (leaf.kind) {
    case "done":
    case "cancel-requested":
    case "state-in":
    case "attempt":
    case "method-in":
    case "time":
    case "present":
      return true;
    case "text":
      return isEquality(leaf);
    case "wildcard":
      return decidesWildcards;
    case "error-code":
    case "payload":
      return false;
  }
}

/** Returns a condition in parentheses, which is false if the row does not have the field. */
function leafSql(leaf: FilterLeaf, dialect: FilterDialect): string {
  const { add, prefix } = dialect;
  switch (leaf.kind) {
    case "done":
      return `(${prefix}end_time is ${leaf.value ? "not null" : "null"})`;
    case "cancel-requested":
      return `(${prefix}cancel_request_time is ${leaf.value ? "not null" : "null"})`;
    case "text":
      // The order of escaped text differs from the order of the text.
      return isEquality(leaf)
        ? `(${prefix}${leaf.column} ${leaf.operator} ${add(escapeNul(leaf.value))})`
        : "true";
    case "wildcard":
      return dialect.wildcard(prefix + leaf.column, leaf.pieces);
    case "state-in": {
      const states = leaf.states.map((state) => `'${state}'`);
      return states.length === 0 ? "false" : `(${prefix}state in (${states.join(", ")}))`;
    }
    case "attempt":
      return `(${prefix}attempt ${leaf.operator} ${add(leaf.value)})`;
    case "method-in": {
      const methods = leaf.methods.map((method) => add(escapeNul(method)));
      return methods.length === 0 ? "false" : `(${prefix}method in (${methods.join(", ")}))`;
    }
    case "time":
      return `coalesce(${prefix}${leaf.column} ${leaf.operator} ${dialect.time(leaf.micros)}, false)`;
    case "error-code":
      return presenceSql("error", prefix);
    case "payload":
      return presenceSql(leaf.payload, prefix);
    case "present":
      return presenceSql(leaf.column, prefix);
  }
}

function presenceSql(
  column: Extract<ColumnCondition, { kind: "present" }>["column"],
  prefix: string,
): string {
  switch (column) {
    case "end_time":
    case "metadata":
      return `(${prefix}${column} is not null)`;
    case "response":
    case "error":
      return `coalesce(${prefix}result_kind = '${column}', false)`;
  }
}

function isEquality({ operator }: Extract<ColumnCondition, { kind: "text" }>): boolean {
  return operator === "=" || operator === "!=";
}
