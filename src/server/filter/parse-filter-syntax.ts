import type { ConnectError } from "@connectrpc/connect";
import { invalidFilter } from "../errors.js";
import type {
  Argument,
  Comparison,
  Expression,
  FilterSyntax,
  Literal,
  Part,
  Restriction,
} from "./filter-syntax.js";
import { filterTokens, type Token } from "./filter-tokens.js";

/*
 * The grammar of AIP-160 (ebnf-filtering.txt), and the rules where it leaves a choice:
 *
 *   filter      : [expression]
 *   expression  : sequence {WS AND WS sequence}
 *   sequence    : factor {WS factor}
 *   factor      : term {WS OR WS term}
 *   term        : [NOT WS | MINUS] simple
 *   simple      : restriction | composite
 *   restriction : comparable [comparator arg]
 *   comparable  : member | function
 *   member      : value {DOT field}
 *   function    : name {DOT name} LPAREN [argList] RPAREN
 *   comparator  : <= | < | >= | > | != | = | :
 *   composite   : LPAREN expression RPAREN
 *   value       : TEXT | STRING
 *   field       : value | keyword
 *   name        : TEXT | keyword
 *   argList     : arg {COMMA arg}
 *   arg         : comparable | composite
 *   keyword     : NOT | AND | OR
 *
 * - AND, OR and NOT alone and without quotes are keywords, and never a value; after a DOT they
 *   are a field (aip#1008). In lower case they are text.
 * - White space is allowed around comparators and within parentheses, including before the
 *   closing one; not around a DOT, nor between MINUS and the expression that it negates.
 * - MINUS negates the simple expression after it: -(42) is NOT 42, whatever the expression is.
 *   Only in an arg, right before a digit, it is a number's sign (aip#992): x = -3.
 * - An arg that is a value takes the DOTs in it as its own: 2.5, com.google. An
 *   RFC 3339 timestamp is one TEXT, including its colons, except after a DOT.
 * - An arg that is a composite holds values only: x = (1 OR 2) is (x = 1 OR x = 2).
 * - Functions are refused, because this package defines no function.
 */

/** The longest filter that is read, in UTF-16 units. */
export const maxFilterLength = 4096;
/** The maximum number of values and restrictions in a filter. */
export const maxFilterTerms = 100;
/** The maximum depth of nested parentheses. */
export const maxFilterDepth = 20;

/**
 * Parses a filter. Returns undefined if it is empty or white space. The time is linear in the
 * length of the filter.
 *
 * @throws ConnectError `Code.InvalidArgument`, reason `INVALID_FILTER`: it does not follow the
 * grammar, or it is over one of the bounds.
 */
export function parseFilterSyntax(filter: string): FilterSyntax | undefined {
  if (filter.length > maxFilterLength) {
    throw invalidFilter(filter, {
      reason: "INVALID_FILTER",
      position: maxFilterLength + 1,
      problem: `the filter has ${filter.length} characters, and at most ${maxFilterLength} are read`,
    });
  }
  const tokens = createTokenReader(filter);
  if (tokens.next().kind === "end") return undefined;
  const syntax = expression(tokens, conditions, 0);
  if (tokens.next().kind !== "end") throw tokens.unexpected("AND, OR, a condition or the end");
  return syntax;
}

/** Walks over the tokens of one filter. */
interface TokenReader {
  /** Returns the next token, or one further on. */
  next(ahead?: number): Token;
  take(): Token;
  /** Count a term, within the bound. */
  countTerm(): void;
  fault(token: Token, problem: string): ConnectError;
  /** Returns the fault of an unexpected token. */
  unexpected(expected: string): ConnectError;
}

function createTokenReader(filter: string): TokenReader {
  const all = filterTokens(filter);
  const end: Token = { kind: "end", text: "", position: filter.length + 1, spaced: false };
  let at = 0;
  let terms = 0;
  const next = (ahead = 0) => all[at + ahead] ?? end;
  const fault = ({ position }: Token, problem: string) =>
    invalidFilter(filter, { reason: "INVALID_FILTER", position, problem });
  return {
    next,
    take() {
      const token = next();
      at += 1;
      return token;
    },
    countTerm() {
      terms += 1;
      if (terms > maxFilterTerms) {
        throw fault(next(), `a filter holds at most ${maxFilterTerms} values and conditions`);
      }
    },
    fault,
    unexpected(expected) {
      const token = next();
      const found = token.kind === "end" ? "the end" : `"${shortened(token.text)}"`;
      return fault(token, `expected ${expected}, not ${found}`);
    },
  };
}

/** How an expression's leaves are read: conditions, or the values within an argument. */
interface LeafRule<Leaf> {
  /** Whether `-` before a digit is the sign of a number. */
  readonly hasSigns: boolean;
  read(tokens: TokenReader, depth: number): Leaf;
}

const conditions: LeafRule<Restriction> = { hasSigns: false, read: restriction };
const values: LeafRule<Literal> = { hasSigns: true, read: literal };

/** The tokens that end an expression, including unexpected ones. */
const ends: ReadonlySet<Token["kind"]> = new Set(["end", ")", "comparator", ",", "."]);

/** Sequences and their factors are all operands of one AND. */
function expression<Leaf>(
  tokens: TokenReader,
  rule: LeafRule<Leaf>,
  depth: number,
): Expression<Leaf> {
  const first = factor(tokens, rule, depth);
  const operands = [first];
  while (!ends.has(tokens.next().kind)) {
    if (!tokens.next().spaced) throw tokens.unexpected("white space");
    if (isKeyword(tokens.next(), "AND")) takeKeyword(tokens);
    operands.push(factor(tokens, rule, depth));
  }
  return operands.length === 1 ? first : { kind: "and", operands };
}

function factor<Leaf>(tokens: TokenReader, rule: LeafRule<Leaf>, depth: number): Expression<Leaf> {
  const first = term(tokens, rule, depth);
  const operands = [first];
  while (isKeyword(tokens.next(), "OR") && tokens.next().spaced) {
    takeKeyword(tokens);
    operands.push(term(tokens, rule, depth));
  }
  return operands.length === 1 ? first : { kind: "or", operands };
}

function term<Leaf>(tokens: TokenReader, rule: LeafRule<Leaf>, depth: number): Expression<Leaf> {
  if (isKeyword(tokens.next(), "NOT")) {
    takeKeyword(tokens);
    return { kind: "not", operand: simple(tokens, rule, depth) };
  }
  const isSign = rule.hasSigns && /^\d/.test(tokens.next(1).text) && !tokens.next(1).spaced;
  if (tokens.next().kind !== "minus" || isSign) return simple(tokens, rule, depth);
  tokens.take();
  if (tokens.next().spaced) throw tokens.unexpected('what "-" negates right behind it');
  return { kind: "not", operand: simple(tokens, rule, depth) };
}

function simple<Leaf>(tokens: TokenReader, rule: LeafRule<Leaf>, depth: number): Expression<Leaf> {
  if (tokens.next().kind !== "(") return { kind: "leaf", leaf: rule.read(tokens, depth) };
  const opening = tokens.take();
  if (depth === maxFilterDepth) {
    throw tokens.fault(opening, `parentheses are nested at most ${maxFilterDepth} deep`);
  }
  const inner = expression(tokens, rule, depth + 1);
  if (tokens.next().kind !== ")") {
    throw tokens.unexpected(`")" for the "(" in column ${opening.position}`);
  }
  tokens.take();
  return inner;
}

function restriction(tokens: TokenReader, depth: number): Restriction {
  const path = member(tokens);
  const { kind, text: operator, position } = tokens.next();
  if (kind !== "comparator" || !isOperator(operator)) {
    tokens.countTerm();
    return { path, comparison: undefined };
  }
  tokens.take();
  const argument: Argument = simple(tokens, values, depth);
  return { path, comparison: { operator, position, argument } };
}

function member(tokens: TokenReader): Part[] {
  const first = tokens.next();
  assertNoKeyword(tokens);
  if (!isValue(first)) throw tokens.unexpected("a field or a value");
  const path = [partOf(tokens.take())];
  while (tokens.next().kind === "." && !tokens.next().spaced) {
    tokens.take();
    if (!isValue(tokens.next()) || tokens.next().spaced) {
      throw tokens.unexpected("a field right after the dot");
    }
    path.push(partOf(tokens.take()));
  }
  assertNoCall(tokens, first);
  return path;
}

function literal(tokens: TokenReader): Literal {
  const first = tokens.next();
  tokens.countTerm();
  if (first.kind === "string") {
    tokens.take();
    const after = tokens.next();
    if (after.kind === "." && !after.spaced) throw tokens.unexpected("nothing right after a quote");
    return partOf(first);
  }
  assertNoKeyword(tokens);
  let text = "";
  const takeWord = () => {
    const { kind, spaced } = tokens.next();
    if (kind !== "text" || (spaced && text !== "")) throw tokens.unexpected("a value");
    text += tokens.take().text;
  };
  if (first.kind === "minus") text += tokens.take().text;
  takeWord();
  while (tokens.next().kind === "." && !tokens.next().spaced) {
    text += tokens.take().text;
    takeWord();
  }
  assertNoCall(tokens, first);
  return { text, quoted: false, position: first.position };
}

function isValue({ kind }: Token): boolean {
  return kind === "text" || kind === "string";
}

function partOf({ kind, text, position }: Token): Part {
  return { text, quoted: kind === "string", position };
}

function isOperator(text: string): text is Comparison["operator"] {
  return ["=", "!=", "<", "<=", ">", ">=", ":"].includes(text);
}

function isKeyword({ kind, text }: Token, keyword?: "AND" | "OR" | "NOT"): boolean {
  if (kind !== "text") return false;
  return keyword === undefined ? ["AND", "OR", "NOT"].includes(text) : text === keyword;
}

function takeKeyword(tokens: TokenReader): void {
  const { text } = tokens.take();
  const { kind, spaced } = tokens.next();
  if (!spaced && kind !== "end") throw tokens.unexpected(`white space after ${text}`);
}

function assertNoKeyword(tokens: TokenReader): void {
  const token = tokens.next();
  if (!isKeyword(token)) return;
  throw tokens.fault(token, `${token.text} is an operator here; in quotes it is a value`);
}

/** A parenthesis right behind a name makes it a call. */
function assertNoCall(tokens: TokenReader, name: Token): void {
  const { kind, spaced } = tokens.next();
  if (kind !== "(" || spaced) return;
  throw tokens.fault(name, `"${shortened(name.text)}…(" calls a function, and there are none`);
}

/** Returns a token for an error message, shortened. */
function shortened(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40).replace(/[\ud800-\udbff]$/, "")}…`;
}
