import { create } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createOperationsClient, filter } from "../../src/index.js";
import { ListOperationsResponseSchema } from "../../src/protos.js";
import { operationsTransport } from "../support/scripted-operations.js";

/** Any string that a filter may contain. */
const anyText = () => fc.string({ unit: "binary" }).filter((text) => !text.includes("*"));

/** Strings of characters that could end a quote. */
const nastyText = () => {
  const pieces = [
    '"',
    "'",
    "\\",
    "\n",
    "\r",
    "\0",
    "\u2028",
    "\u0085",
    " OR ",
    "=",
    "(",
    "a",
    "\\u",
  ];
  return fc.string({ unit: fc.constantFrom(...pieces) });
};

/** Reads a quoted string by the rules of JSON and CEL, character by character. */
function unquote(text: string): string {
  expect(text.at(0)).toBe('"');
  let value = "";
  let at = 1;
  for (; text[at] !== '"'; at += 1) {
    const char = text.charAt(at);
    expect(char).not.toBe("");
    if (char !== "\\") {
      value += char;
      continue;
    }
    at += 1;
    const code = text.charAt(at);
    const simple = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };
    if (code === "u") {
      value += String.fromCharCode(Number.parseInt(text.slice(at + 1, at + 5), 16));
      at += 4;
    } else {
      value += simple[code as keyof typeof simple];
    }
  }
  expect(at).toBe(text.length - 1);
  return value;
}

/** The shape of a filter: its words and operators, with S for every quoted string. */
function tokens(text: string): string[] {
  const kinds = /"(?:[^"\\\p{Cc}\u2028\u2029]|\\.)*"|[<>!]=|[()=<>:,.]|[^\s()=<>:,."]+|\s+|./gsu;
  return (text.match(kinds) ?? [])
    .filter((token) => token.trim() !== "")
    .map((token) => (token.length > 1 && token.startsWith('"') ? "S" : token));
}

describe("filter", () => {
  it.each([
    ["a string, quoted", "ACTIVE", '"ACTIVE"'],
    ["quotes and backslashes, escaped", 'a "b" \\', '"a \\"b\\" \\\\"'],
    [
      "line ends and control characters",
      "a\nb\u0000\u007f\u0085\u2028",
      '"a\\nb\\u0000\\u007f\\u0085\\u2028"',
    ],
    ["other letters as they are", "Grüße 🖨", '"Grüße 🖨"'],
    ["true", true, "true"],
    ["an integer", -12, "-12"],
    ["a fraction", 1.5e-9, "1.5e-9"],
    ["a large number, without a plus sign", 2.5e30, "2.5e30"],
    ["a bigint", 9007199254740993n, "9007199254740993"],
    ["a Date", new Date(Date.UTC(2026, 0, 2, 3, 4, 5)), '"2026-01-02T03:04:05Z"'],
    ["a Date with milliseconds", new Date(1_500), '"1970-01-01T00:00:01.500Z"'],
    [
      "a Timestamp, to the nanosecond",
      create(TimestampSchema, { seconds: 1n, nanos: 1 }),
      '"1970-01-01T00:00:01.000000001Z"',
    ],
    ["a Duration of seconds", create(DurationSchema, { seconds: 20n }), "20s"],
    ["one of less", create(DurationSchema, { seconds: 1n, nanos: 500_000_000 }), "1.5s"],
    ["a negative one", create(DurationSchema, { nanos: -10_000_000 }), "-0.01s"],
    ["one of hours", create(DurationSchema, { seconds: 3600n, nanos: 1000 }), "3600.000001s"],
  ])("writes %s", (_, value, text) => {
    expect(String(filter`a = ${value}`)).toBe(`a = ${text}`);
  });

  it("puts values where the template has them, and leaves its text alone", () => {
    const text = filter`done = ${true} AND metadata.state = ${"ACTIVE"} AND name = "a\"*"`;
    expect(String(text)).toBe('done = true AND metadata.state = "ACTIVE" AND name = "a\\"*"');
    expect(String(filter``)).toBe("");
  });

  it("puts a filter within a filter in parentheses", () => {
    const either = filter`a = ${1} OR b = ${"x"}`;
    expect(String(filter`${either} AND NOT ${filter`c = ${false}`}`)).toBe(
      '(a = 1 OR b = "x") AND NOT (c = false)',
    );
  });

  it.each([
    ["undefined", undefined, "is undefined"],
    ["null", null, "is null"],
    ["NaN", Number.NaN, "is NaN"],
    ["infinity", Number.NEGATIVE_INFINITY, "is -Infinity"],
    ["an object", { toString: () => "x" }, "is an object"],
    ["what only looks like a filter", { text: "a" }, "is an object"],
    ["an array", ["a"], "is an object"],
    ["a function", () => "x", "is a function"],
    ["a symbol", Symbol("x"), "is a symbol"],
    ["an invalid Date", new Date(Number.NaN), "is out of range"],
    ["a Date past year 9999", new Date(8.64e15), "is out of range"],
    ["a Timestamp beyond", create(TimestampSchema, { seconds: 10n ** 12n }), "is out of range"],
    ["a Duration beyond", create(DurationSchema, { seconds: 10n ** 12n }), "is out of range"],
    ["an empty filter", filter` `, "is an empty filter"],
    ["a wildcard", "rep*", 'has a "*"'],
    ["half a character", "a\ud800", "is no well-formed"],
  ])("refuses %s, naming its place", (_, value, why) => {
    const build = () => filter`a = ${1} AND b = ${value as string}`;
    expect(build).toThrow(TypeError);
    expect(build).toThrow(`value 2 of the filter, after " AND b = ", ${why}`);
  });

  it("refuses a value within quotes of the template, and quotes that stay open", () => {
    expect(() => filter`a = "${"x"}"`).toThrow("value 1 of the filter");
    expect(() => filter`a = 'it\'s ${"x"}'`).toThrow("stands within quotes");
    expect(() => filter`a = ${1} AND b = "x`).toThrow("opens a quote");
    expect(String(filter`a = "\"" AND b = '"' AND c = ${1}`)).toContain("c = 1");
  });

  it("quotes every string so that unquoting returns it", () => {
    fc.assert(
      fc.property(fc.oneof(anyText(), nastyText()), (value) => {
        const text = String(filter`a = ${value}`);
        expect(unquote(text.slice(4))).toBe(value);
        expect(text).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });

  it("has the same structure whatever the strings are", () => {
    const shape = tokens(String(filter`(a = ${"x"} OR b.c != ${"y"}) AND ${filter`d:${"z"}`}`));
    expect(shape).toContain("S");
    fc.assert(
      fc.property(fc.tuple(nastyText(), anyText(), nastyText()), ([x, y, z]) => {
        const text = String(filter`(a = ${x} OR b.c != ${y}) AND ${filter`d:${z}`}`);
        expect(tokens(text)).toEqual(shape);
      }),
    );
  });

  it("goes into a list as it is", async () => {
    const seen: string[] = [];
    const client = createOperationsClient(
      operationsTransport({
        listOperations(request) {
          seen.push(request.filter);
          return create(ListOperationsResponseSchema);
        },
      }),
    );
    for await (const _ of client.list({ filter: filter`done = ${false}` })) expect(_).toBe(0);
    expect(seen).toEqual(["done = false"]);
  });
});
