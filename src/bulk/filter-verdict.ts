import type { Operation } from "../protos.js";
import type { Argument, FilterSyntax, Restriction } from "../server/filter/filter-syntax.js";
import { parseFilterSyntax } from "../server/filter/parse-filter-syntax.js";
import { codeFromName } from "../status/code.js";

/**
 * Whether an operation matches a filter, by the fields of its message: `name`, `done` and
 * `error.code`. "unknown" if that depends on other fields, or on functions.
 */
export type Verdict = "match" | "no-match" | "unknown";

/**
 * Returns a function that reports whether an operation certainly does not match a filter. It reports
 * false if that is not known, and for a filter that this package cannot parse.
 */
export function contradictionOf(filter: string): (operation: Operation) => boolean {
  let syntax: FilterSyntax | undefined;
  try {
    syntax = parseFilterSyntax(filter);
  } catch {
    // The server may have a different filter grammar, so a filter that this parser rejects may be
    // valid.
  }
  const parsed = syntax;
  if (parsed === undefined) return () => false;
  return (operation) => filterVerdict(parsed, operation) === "no-match";
}

/** Evaluates a filter with three values. Only the operators `=` and `!=` are known. */
export function filterVerdict(filter: FilterSyntax, operation: Operation): Verdict {
  switch (filter.kind) {
    case "and":
      return combined(filter.operands, operation, "no-match", "match");
    case "or":
      return combined(filter.operands, operation, "match", "no-match");
    case "not":
      return negated(filterVerdict(filter.operand, operation));
    case "leaf":
      return restrictionVerdict(filter.leaf, operation);
  }
}

/** `deciding` decides by one operand, `otherwise` holds if all operands have that verdict. */
function combined(
  operands: readonly FilterSyntax[],
  operation: Operation,
  deciding: Verdict,
  otherwise: Verdict,
): Verdict {
  const verdicts = operands.map((operand) => filterVerdict(operand, operation));
  if (verdicts.includes(deciding)) return deciding;
  return verdicts.every((verdict) => verdict === otherwise) ? otherwise : "unknown";
}

function negated(verdict: Verdict): Verdict {
  if (verdict === "unknown") return verdict;
  return verdict === "match" ? "no-match" : "match";
}

function restrictionVerdict({ path, comparison }: Restriction, operation: Operation): Verdict {
  if (comparison === undefined) return "unknown";
  const { operator, argument } = comparison;
  if (operator !== "=" && operator !== "!=") return "unknown";
  const field = path.map(({ text }) => text).join(".");
  const verdict = equalityVerdict(field, argument, operation);
  return operator === "=" ? verdict : negated(verdict);
}

function equalityVerdict(field: string, argument: Argument, operation: Operation): Verdict {
  if (argument.kind !== "leaf") return "unknown";
  const { text } = argument.leaf;
  switch (field) {
    case "done":
      if (text !== "true" && text !== "false") return "unknown";
      return verdictOf(operation.done === (text === "true"));
    case "name":
      return text.includes("*") ? "unknown" : verdictOf(operation.name === text);
    case "error.code": {
      const { result } = operation;
      const code = result.case === "error" ? result.value.code : undefined;
      if (code === undefined) return operation.done ? "no-match" : "unknown";
      const wanted = /^\d+$/.test(text) ? Number(text) : codeFromName(text);
      return wanted === undefined ? "unknown" : verdictOf(code === wanted);
    }
    default:
      return "unknown";
  }
}

function verdictOf(matches: boolean): Verdict {
  return matches ? "match" : "no-match";
}
