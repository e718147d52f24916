import type { Comparator } from "../../store/value-test.js";

/** The operators AND, OR and NOT over leaves. Redundant parentheses are not recorded. */
export type Expression<Leaf> =
  /** All operands hold; white space between conditions means the same (sequences in AIP-160). At least two operands. */
  | { readonly kind: "and"; readonly operands: readonly Expression<Leaf>[] }
  /** At least two operands. */
  | { readonly kind: "or"; readonly operands: readonly Expression<Leaf>[] }
  | { readonly kind: "not"; readonly operand: Expression<Leaf> }
  | { readonly kind: "leaf"; readonly leaf: Leaf };

/** A parsed filter, whose fields are not resolved yet. */
export type FilterSyntax = Expression<Restriction>;

/** One condition: a path, compared with something or alone. */
export interface Restriction {
  /** At least one part. */
  readonly path: readonly Part[];
  /** The comparison; undefined if the path is alone, which is a literal to search for (a global restriction). */
  readonly comparison: Comparison | undefined;
}

/** The operator and the right side of a condition. `:` means "has". */
export interface Comparison {
  readonly operator: Comparator | ":";
  readonly position: number;
  readonly argument: Argument;
}

/** A literal, or several in parentheses: `state = (RUNNING OR PENDING)`. */
export type Argument = Expression<Literal>;

/** One part of a path: `a` and `b` of `a.b`. */
export interface Part {
  readonly text: string;
  readonly quoted: boolean;
  /** 1-based column of its first character, in UTF-16 units. */
  readonly position: number;
}

/** A value of a filter. Dots and a minus sign are part of it. */
export type Literal = Part;

/**
 * Returns the canonical text of a filter: one space wherever a space is allowed, AND written out,
 * and only the parentheses that are needed. The parser reads the same filter from it.
 */
export function printFilter(filter: FilterSyntax): string {
  return printed(filter, printRestriction);
}

/** Returns a path as a filter writes it: `metadata.labels."a b"`. */
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
