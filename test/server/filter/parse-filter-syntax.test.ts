import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filter } from "../../../src/index.js";
import type {
  Argument,
  Expression,
  FilterSyntax,
  Part,
} from "../../../src/server/filter/filter-syntax.js";
import { printFilter } from "../../../src/server/filter/filter-syntax.js";
import {
  maxFilterDepth,
  maxFilterLength,
  maxFilterTerms,
  parseFilterSyntax,
} from "../../../src/server/filter/parse-filter-syntax.js";
import { standardDetailsOf } from "../../../src/status/index.js";

/** The canonical text of a filter. */
function canonical(text: string): string {
  const syntax = parseFilterSyntax(text);
  return syntax === undefined ? "" : printFilter(syntax);
}

/** The one literal of a filter of the form `path = literal`. */
function literalOf(text: string): Part {
  const syntax = parseFilterSyntax(text);
  if (syntax?.kind !== "leaf") throw new Error(`${text} is no single condition`);
  const argument = syntax.leaf.comparison?.argument;
  if (argument?.kind !== "leaf") throw new Error(`${text} has no single value`);
  return argument.leaf;
}

/** Reason, position and message of the error that a filter is refused with. */
function faultOf(text: string) {
  try {
    parseFilterSyntax(text);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const info = standardDetailsOf(error).errorInfo;
    return {
      reason: info?.reason,
      position: Number(info?.metadata.position),
      message: error.rawMessage,
    };
  }
  throw new Error(`${text} was understood`);
}

describe("parseFilterSyntax", () => {
  it.each([
    // AIP-160, "Literals" and "Logical Operators"
    ["Victor Hugo", "Victor AND Hugo"],
    ["a AND b", "a AND b"],
    ["a OR b OR c", "a OR b OR c"],
    ["a AND b OR c", "a AND b OR c"],
    ["(a AND b) OR c", "(a AND b) OR c"],
    // ebnf-filtering.txt, sequence and expression
    ["New York Giants OR Yankees", "New AND York AND Giants OR Yankees"],
    ["a b AND c AND d", "a AND b AND c AND d"],
    ["a < 10 OR a >= 100", "a < 10 OR a >= 100"],
    // AIP-160, "Negation Operators"; ebnf, term
    ["NOT a", "NOT a"],
    ["-a", "NOT a"],
    ["NOT (a OR b)", "NOT (a OR b)"],
    ['-file:".java"', 'NOT file:".java"'],
    ["-30", "NOT 30"],
    // AIP-160, "Comparison Operators"; ebnf, restriction
    ["a = true", "a = true"],
    ["a!=42", "a != 42"],
    ['a > "foo"', 'a > "foo"'],
    ["a <= foo", "a <= foo"],
    ["package=com.google", "package = com.google"],
    ["msg != 'hello'", 'msg != "hello"'],
    ["2.5 >= 2.4", "2.5 >= 2.4"],
    ["a = 2.997e9", "a = 2.997e9"],
    ["a = 1.2s", "a = 1.2s"],
    ["a > 2012-04-21T11:30:00-04:00", "a > 2012-04-21T11:30:00-04:00"],
    ["a>2012-04-21T11:30:00.5Z b", "a > 2012-04-21T11:30:00.5Z AND b"],
    ['a = "*.foo"', 'a = "*.foo"'],
    // AIP-160, "Traversal" and "Has"
    ['a.b.c = "foo"', 'a.b.c = "foo"'],
    ["expr.type_map.1.type", "expr.type_map.1.type"],
    ["r:42", "r:42"],
    ["r.foo : 42", "r.foo:42"],
    ["m.foo:*", "m.foo:*"],
    // aip#992: negative numbers, and white space around comparators
    ["x = -3", "x = -3"],
    ["-3 = x", "NOT 3 = x"],
    ["x  =\n3", "x = 3"],
    // aip#1008: keywords are keywords where they stand alone, and text elsewhere
    ["m.AND = 1 AND m.OR.NOT:2", "m.AND = 1 AND m.OR.NOT:2"],
    ['a = "AND" OR a = "NOT"', 'a = "AND" OR a = "NOT"'],
    ["ANDROID OR NOTE AND ORDER", "ANDROID OR NOTE AND ORDER"],
    ["a and b or c not d", "a AND and AND b AND or AND c AND not AND d"],
    // einride/aip-go#392: space before the closing parenthesis, -(42)
    ["(a )", "a"],
    ["(a b )", "a AND b"],
    ["( a)", "a"],
    ["(a) X ", "a AND X"],
    ["-(a)", "NOT a"],
    ["-(42)", "NOT 42"],
    ["-(-42)", "NOT (NOT 42)"],
    ["((a))", "a"],
    // An argument in parentheses
    ["a = (1 OR 2)", "a = (1 OR 2)"],
    ["a:(-1 OR NOT x y)", "a:(-1 OR NOT x AND y)"],
    ["a = (2012-04-21T11:30:00Z OR 1.5s)", "a = (2012-04-21T11:30:00Z OR 1.5s)"],
    ["m.2012-04-21T11:30", "m.2012-04-21T11:30"],
    ["a = (b)", "a = b"],
    ["a = (-b)", "a = (NOT b)"],
    // Words with dashes, and negations behind spaces
    ["a-b -c", "a-b AND NOT c"],
    ["", ""],
    [" \t\n", ""],
  ])("reads %j as %j", (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it.each([
    ['a = "x\\"y"', 'x"y'],
    ["a = 'it\\'s'", "it's"],
    ['a = "it\'s"', "it's"],
    ['a = "\\\\ \\/ \\b\\f\\n\\r\\t"', "\\ / \b\f\n\r\t"],
    ['a = "\\u00e9\\ud83d\\uDDA8"', "é🖨"],
    ['a = "(x) AND = : , -"', "(x) AND = : , -"],
  ])("reads the string in %j", (text, value) => {
    expect(literalOf(text)).toMatchObject({ text: value, quoted: true, position: 5 });
  });

  it.each([
    ["a b = ", 7, "expected a value, not the end"],
    ["done ==", 7, 'expected a value, not "="'],
    ["(a", 3, 'expected ")" for the "(" in column 1'],
    ["a)", 2, 'expected AND, OR, a condition or the end, not ")"'],
    ["()", 2, "expected a field or a value"],
    ["a AND", 6, "expected a field or a value, not the end"],
    ["OR a", 1, "OR is an operator here; in quotes it is a value"],
    ["a AND AND b", 7, "AND is an operator here"],
    ["a = OR", 5, "OR is an operator here"],
    ["AND = 3", 1, "AND is an operator here"],
    ["NOT", 4, "expected a field or a value, not the end"],
    ["NOT NOT a", 5, "NOT is an operator here"],
    ["NOT(a)", 4, 'expected white space after NOT, not "("'],
    ["a AND(b)", 6, 'expected white space after AND, not "("'],
    ["(a)AND (b)", 4, "expected white space"],
    ["(a)(b)", 4, "expected white space"],
    ['a = "x""y"', 8, "expected white space"],
    ['a"b"', 2, "expected white space"],
    ["- a", 3, 'expected what "-" negates right behind it'],
    ["--a", 2, "expected a field or a value"],
    ["a = --1", 6, "expected a value"],
    ["a = - 1", 7, "expected a value"],
    ["a = .5", 5, "expected a value"],
    ["a = 1.", 7, "expected a value"],
    ["a..b = 1", 3, "expected a field right after the dot"],
    ["a. b = 1", 4, "expected a field right after the dot"],
    ["a .b = 1", 3, "expected AND, OR, a condition or the end"],
    ['a = "x".y', 8, "expected nothing right after a quote"],
    ["a = b = c", 7, "expected AND, OR, a condition or the end"],
    ["a:b:c", 4, "expected AND, OR, a condition or the end"],
    ["a = (b = c)", 8, 'expected ")"'],
    ["a ! b", 3, '"!" stands only in "!="'],
    ["a, b", 2, "expected AND, OR, a condition or the end"],
    ['a = "b', 5, "the quote that opens here is never closed"],
    ["a = 'b\"", 5, "the quote that opens here is never closed"],
    ['a = "b\\"', 5, "the quote that opens here is never closed"],
    ['a = "b\\x41"', 7, "is no escape"],
    ['a = "\\ud800"', 5, "half a surrogate pair"],
    ["a\u0000b", 2, "control character"],
    // AIP-160, "Functions"; ebnf, function
    ["regex(m.key, '^.*prod.*$')", 1, '"regex…(" calls a function, and there are none'],
    ["a AND msg.endsWith('world')", 7, "calls a function"],
    ["experiment.rollout <= cohort(request.user)", 23, "calls a function"],
  ])("refuses %j at column %d", (text, position, message) => {
    const fault = faultOf(text);
    expect(fault).toMatchObject({ reason: "INVALID_FILTER", position });
    expect(fault.message).toContain(`filter, column ${position}: `);
    expect(fault.message).toContain(message);
  });

  it("server 50: bounds the length, the terms and the depth, and accepts each maximum", () => {
    const within = `a = "${"x".repeat(maxFilterLength - 6)}"`;
    expect(within.length).toBe(maxFilterLength);
    expect(canonical(within)).toBe(within);
    expect(faultOf(`${within} `)).toMatchObject({
      reason: "INVALID_FILTER",
      position: maxFilterLength + 1,
    });
    const terms = (count: number) => Array(count).fill("a=1").join(" ");
    expect(canonical(terms(maxFilterTerms))).toContain("a = 1");
    expect(faultOf(terms(maxFilterTerms + 1)).message).toContain("at most 100 values");
    const values = `a = (${Array(maxFilterTerms + 1)
      .fill("1")
      .join(" ")})`;
    expect(faultOf(values).message).toContain("at most 100 values");
    const nested = (depth: number) => `${"(".repeat(depth)}a${")".repeat(depth)}`;
    expect(canonical(nested(maxFilterDepth))).toBe("a");
    expect(faultOf(nested(maxFilterDepth + 1))).toMatchObject({ position: maxFilterDepth + 1 });
    expect(faultOf(`${"-(".repeat(2000)}`).message).toContain("nested at most 20 deep");
  });

  it("echoes no more of a long filter than an error has room for", () => {
    const { message } = faultOf(`a = ${"x".repeat(5000)}`);
    expect(message.length).toBeLessThan(500);
    expect(faultOf(`(${"ü".repeat(3000)}(`).message.length).toBeLessThan(500);
  });

  it("gives the same filter for its canonical text", () => {
    fc.assert(
      fc.property(aFilter(), (syntax) => {
        const parsed = parseFilterSyntax(printFilter(syntax));
        expect(withoutPositions(parsed)).toEqual(withoutPositions(syntax));
      }),
      { numRuns: 1000 },
    );
  });

  it("reads every value that the client's tag writes, as the same text", () => {
    const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("*"));
    fc.assert(
      fc.property(text, (value) => {
        expect(literalOf(String(filter`a = ${value}`))).toMatchObject({
          text: value,
          quoted: true,
        });
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (value) => {
        const { text: written } = literalOf(String(filter`a = ${value}`));
        expect(Number(written)).toBe(Object.is(value, -0) ? 0 : value);
      }),
    );
    fc.assert(
      fc.property(fc.bigInt(), fc.boolean(), (number, boolean) => {
        expect(literalOf(String(filter`a = ${number}`)).text).toBe(String(number));
        expect(literalOf(String(filter`a = ${boolean}`)).text).toBe(String(boolean));
      }),
    );
    const nested = filter`${filter`a = ${1} OR b = ${"x"}`} AND NOT ${filter`c = ${false}`}`;
    expect(canonical(String(nested))).toBe('a = 1 OR b = "x" AND NOT c = false');
  });
});

/** A path's first part, a later part and a value without quotes, with all allowed characters. */
const word = () =>
  fc
    .string({ unit: fc.constantFrom(..."aZ_09*-+/\\é🖨ANDORT"), minLength: 1 })
    .filter((text) => !text.startsWith("-"));
const freeWord = () => word().filter((text) => !["AND", "OR", "NOT"].includes(text));
const part = (unquoted: fc.Arbitrary<string>) =>
  fc.oneof(
    unquoted.map((text) => ({ text, quoted: false, position: 0 })),
    fc.string({ unit: "grapheme" }).map((text) => ({ text, quoted: true, position: 0 })),
  );
const literal = () =>
  part(
    fc.oneof(
      freeWord(),
      fc.tuple(freeWord(), word()).map(([one, other]) => `${one}.${other}`),
      fc.constantFrom("-3", "-1.5e9", "20s", "2012-04-21T11:30:00.25-04:00", "*"),
    ),
  );

function anExpression<Leaf>(leaf: fc.Arbitrary<Leaf>): fc.Arbitrary<Expression<Leaf>> {
  return fc.letrec<{ tree: Expression<Leaf> }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, depthIdentifier: "filter" },
      leaf.map((value) => ({ kind: "leaf" as const, leaf: value })),
      fc.record({ kind: fc.constant("not" as const), operand: tie("tree") }),
      fc.record({
        kind: fc.constantFrom("and" as const, "or" as const),
        operands: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
      }),
    ),
  })).tree;
}

function aFilter(): fc.Arbitrary<FilterSyntax> {
  const argument: fc.Arbitrary<Argument> = fc.oneof(
    { weight: 4, arbitrary: literal().map((leaf) => ({ kind: "leaf" as const, leaf })) },
    { weight: 1, arbitrary: anExpression(literal()) },
  );
  const restriction = fc.record({
    path: fc
      .tuple(part(freeWord()), fc.array(part(word()), { maxLength: 2 }))
      .map(([first, rest]) => [first, ...rest]),
    comparison: fc.option(
      fc.record({
        operator: fc.constantFrom(...(["=", "!=", "<", "<=", ">", ">=", ":"] as const)),
        position: fc.constant(0),
        argument,
      }),
      { nil: undefined },
    ),
  });
  // A filter over the bounds is refused; another test checks that.
  return anExpression(restriction).filter((syntax) => {
    const text = printFilter(syntax);
    return text.length <= maxFilterLength && termsOf(syntax) <= maxFilterTerms;
  });
}

function termsOf(syntax: FilterSyntax): number {
  return JSON.stringify(syntax).split('"position":0').length - 1;
}

function withoutPositions(syntax: FilterSyntax | undefined): unknown {
  return JSON.parse(
    JSON.stringify(syntax, (key, value) => (key === "position" ? undefined : value)),
  );
}
