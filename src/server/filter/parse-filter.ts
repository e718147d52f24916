import type { LongRunningMethod } from "../../operation/long-running.js";
import type { OperationFilter } from "../../store/operation-filter.js";
import { invalidFilter } from "../errors.js";
import { compileFilter } from "./compile-filter.js";
import { isFault } from "./condition.js";
import { parseFilterSyntax } from "./parse-filter-syntax.js";

/**
 * Read the filter of a list (AIP-160); undefined for one that is empty. docs/reference/filters.md
 * says what is understood.
 *
 * @param methods Those whose metadata and response types the filter can look into. A
 *   field that only some of the types have makes the condition false for the others.
 *
 * @throws ConnectError `Code.InvalidArgument` with the column of the fault; reason
 *   `INVALID_FILTER` where it does not follow the grammar or is over a bound,
 *   `UNKNOWN_FILTER_FIELD`, or `FILTER_TYPE_MISMATCH` where the value or the operator is
 *   none for the field.
 */
export function parseFilter(
  text: string,
  methods: readonly LongRunningMethod[],
): OperationFilter | undefined {
  const syntax = parseFilterSyntax(text);
  if (syntax === undefined) return undefined;
  const filter = compileFilter(syntax, methods);
  if (isFault(filter)) throw invalidFilter(text, filter);
  return filter;
}
