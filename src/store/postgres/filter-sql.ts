import type { ColumnCondition, OperationFilter } from "../operation-filter.js";
import type { PayloadCondition } from "../payload-condition.js";
import { escapeNul } from "../sql/nul-escape.js";
import type { Parameters } from "./statement.js";

/** What of a filter a database can decide. */
export interface FilterSql {
  /** A condition on row `o` that all matches meet, never null. */
  readonly condition: string;
  /** Whether nothing else meets it; where not, the filter has to look at the rows besides. */
  readonly isExact: boolean;
}

/**
 * A filter as a condition, its values as parameters. What is in a payload the database
 * cannot tell: there it is asked for what may match. `schema` is quoted.
 */
export function filterSql(
  filter: OperationFilter,
  schema: string,
  parameters: Parameters,
): FilterSql {
  return mayBe(filter, true, schema, parameters);
}

/** Where the filter may have this value: never too narrow. */
function mayBe(
  filter: OperationFilter,
  value: boolean,
  schema: string,
  parameters: Parameters,
): FilterSql {
  switch (filter.kind) {
    case "and":
    case "or": {
      const each = filter.operands.map((operand) => mayBe(operand, value, schema, parameters));
      // "Not all of them" is "one of them not", and the other way round.
      const isAll = (filter.kind === "and") === value;
      const conditions = each.map(({ condition }) => condition);
      return {
        condition: isAll
          ? `(${["true", ...conditions].join(" and ")})`
          : `(${["false", ...conditions].join(" or ")})`,
        isExact: each.every(({ isExact }) => isExact),
      };
    }
    case "not":
      return mayBe(filter.operand, !value, schema, parameters);
    case "constant":
      return { condition: String(filter.value === value), isExact: true };
    case "error-code":
      return { condition: value ? hasPayload("error") : "true", isExact: false };
    case "payload":
      return { condition: value ? hasPayload(filter.payload) : "true", isExact: false };
    default: {
      const condition = columnSql(filter, schema, parameters);
      return { condition: value ? condition : `not ${condition}`, isExact: true };
    }
  }
}

/** In parentheses, and false where the row does not have it. */
function columnSql(
  condition: Exclude<ColumnCondition, { kind: "error-code" }>,
  schema: string,
  { add }: Parameters,
): string {
  switch (condition.kind) {
    case "done":
      return `(o.end_time is ${condition.value ? "not null" : "null"})`;
    case "cancel-requested":
      return `(o.cancel_request_time is ${condition.value ? "not null" : "null"})`;
    case "text":
      return `(o.${condition.column} ${condition.operator} ${add(escapeNul(condition.value))})`;
    case "wildcard":
      return `(o.${condition.column} like ${add(condition.pieces.map(likePiece).join("%"))})`;
    case "method-in":
      return `(o.method = any(${add(condition.methods.map(escapeNul))}::text[]))`;
    case "time": {
      const time = `${schema}.time_of(${add(condition.micros)})`;
      return `coalesce(o.${condition.column} ${condition.operator} ${time}, false)`;
    }
    case "present":
      return condition.column === "end_time"
        ? "(o.end_time is not null)"
        : hasPayload(condition.column);
  }
}

function hasPayload(payload: PayloadCondition["payload"]): string {
  if (payload === "metadata") return "(o.metadata is not null)";
  return `(o.result_kind is not distinct from '${payload}')`;
}

/** Text between wildcards, as LIKE reads it. */
function likePiece(piece: string): string {
  return escapeNul(piece).replace(/[\\%_]/g, "\\$&");
}
