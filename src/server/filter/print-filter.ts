import type {
  Argument,
  Expression,
  FilterSyntax,
  Literal,
  Part,
  Restriction,
} from "./filter-syntax.js";

/**
 * The canonical text of a filter: one space wherever one may stand, AND written out, and
 * no parentheses but those that are needed. Parsing it gives the same filter again.
 */
export function printFilter(filter: FilterSyntax): string {
  return printed(filter, printRestriction);
}

/** A path as it is written: `metadata.labels."a b"`. */
export function printPath(path: readonly Part[]): string {
  return path.map(printPart).join(".");
}

function printRestriction({ path, comparison }: Restriction): string {
  if (comparison === undefined) return printPath(path);
  const { operator, argument } = comparison;
  const space = operator === ":" ? "" : " ";
  return printPath(path) + space + operator + space + printArgument(argument);
}

function printArgument(argument: Argument): string {
  return argument.kind === "leaf" ? printPart(argument.leaf) : `(${printed(argument, printPart)})`;
}

function printPart({ text, quoted }: Part | Literal): string {
  return quoted ? JSON.stringify(text) : text;
}

function printed<Leaf>(expression: Expression<Leaf>, printLeaf: (leaf: Leaf) => string): string {
  const operand = (inner: Expression<Leaf>) => {
    const text = printed(inner, printLeaf);
    return needsParentheses(inner.kind, expression.kind) ? `(${text})` : text;
  };
  switch (expression.kind) {
    case "and":
      return expression.operands.map(operand).join(" AND ");
    case "or":
      return expression.operands.map(operand).join(" OR ");
    case "not":
      return `NOT ${operand(expression.operand)}`;
    case "leaf":
      return printLeaf(expression.leaf);
  }
}

type Kind = Expression<unknown>["kind"];

/** NOT binds tighter than OR, and OR tighter than AND. */
function needsParentheses(inner: Kind, outer: Kind): boolean {
  const binding = { and: 0, or: 1, not: 2, leaf: 3 };
  return binding[inner] <= binding[outer];
}
