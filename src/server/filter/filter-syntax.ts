import type { Comparator } from "../../store/value-test.js";

/** AND, OR and NOT over leaves. Parentheses that change nothing leave no trace. */
export type Expression<Leaf> =
  /** Also of what only white space separates (AIP-160's sequence). At least two operands. */
  | { readonly kind: "and"; readonly operands: readonly Expression<Leaf>[] }
  /** At least two operands. */
  | { readonly kind: "or"; readonly operands: readonly Expression<Leaf>[] }
  | { readonly kind: "not"; readonly operand: Expression<Leaf> }
  | { readonly kind: "leaf"; readonly leaf: Leaf };

/** A filter as it was written, before anybody asks what its fields are. */
export type FilterSyntax = Expression<Restriction>;

/** One condition: a path, compared with something or alone. */
export interface Restriction {
  /** At least one part. */
  readonly path: readonly Part[];
  /** Undefined for a path alone, which is a literal to look for: a global restriction. */
  readonly comparison: Comparison | undefined;
}

/** What stands to the right of a path. `:` is "has". */
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

/** A value; dots and a minus sign are part of it. */
export type Literal = Part;
