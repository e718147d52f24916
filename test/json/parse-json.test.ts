import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { type ExactJson, maxJsonDepth, parseJson } from "../../src/json/parse-json.js";

const parse = (text: string) => parseJson(new TextEncoder().encode(text));

/** Replaces large integers by the numbers that JSON.parse makes. */
function withoutBigints(json: ExactJson): unknown {
  return JSON.parse(
    JSON.stringify(json, (_, value) => (typeof value === "bigint" ? Number(value) : value)),
  );
}

describe("parseJson", () => {
  it("parses what JSON.stringify writes", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 5, noUnicodeString: false }),
        fc.nat(3),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          assert.deepEqual(withoutBigints(parse(text)), JSON.parse(text));
        },
      ),
    );
  });

  it("keeps each digit of the integers of 64 bits, wherever they stand", () => {
    const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), integer)), fc.string(), (entries, spaces) => {
        const space = `${spaces.replace(/[^ \t\n\r]/g, "")} `;
        const members = entries.map(
          ([name, value]) => `${space}${JSON.stringify(name)}${space}:${space}[${value}${space}]`,
        );
        const unique = new Map(entries.map(([name, value]) => [name, value]));
        fc.pre(unique.size === entries.length);
        const read = parse(`${space}{${members.join(",")}}${space}`);
        for (const [name, value] of unique) {
          const [only] = Object(Object.getOwnPropertyDescriptor(read, name)?.value);
          assert.equal(BigInt(only), value);
          assert.equal(typeof only, BigInt.asIntN(54, value) === value ? "number" : "bigint");
        }
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const someJson = fc.array(
      fc.constantFrom("{", "}", "[", "]", ":", ",", '"', '"a"', "\\", "1", "null", " "),
    );
    fc.assert(
      fc.property(someJson, (parts) => {
        const text = parts.join("");
        let isJson = true;
        try {
          JSON.parse(text);
        } catch {
          isJson = false;
        }
        if (!isJson) assert.throws(() => parse(text), /the input is not JSON/);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":1}',
    '[{"x":{"b":[],"c":{},"b":2}}]',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":2}',
    '{"\\"":1,"\\"":2}',
  ])("refuses the same name twice in one object: %s", (text) => {
    assert.throws(() => parse(text), /same name twice/);
  });

  it.each([
    '{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}',
    '{"a":"{\\"a\\":1,","b":":"}',
    '{"a\\\\":1,"a\\\\\\\\":2,"a":":"}',
  ])("lets the same name be in two objects: %s", (text) => {
    assert.deepEqual(parse(text), JSON.parse(text));
  });

  it("has __proto__ as a member like any other", () => {
    const parsed = parse('{"__proto__":{"admin":true}}');
    assert.deepEqual(Object.keys(Object(parsed)), ["__proto__"]);
    assert.equal(Object(parsed).admin, undefined);
  });

  it("refuses what nests deeper than its limit, however deep", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    parse(nested(maxJsonDepth));
    for (const depth of [maxJsonDepth + 1, 1_000_000]) {
      assert.throws(() => parse(nested(depth)), /nests deeper|is not JSON/);
    }
    assert.throws(() => parse('{"a":'.repeat(1_000_000)), /is not JSON/);
  });

  it("takes linear time for strings that do not end", () => {
    const timeOf = (length: number) => {
      const bytes = new TextEncoder().encode(`"${'\\"'.repeat(length)}`);
      const startMs = performance.now();
      assert.throws(() => parseJson(bytes));
      return performance.now() - startMs;
    };
    timeOf(1000);
    // Ten times the string: linear time takes ten times as long, quadratic a hundred.
    const best = (length: number) => Math.min(...Array.from({ length: 5 }, () => timeOf(length)));
    assert.ok(best(1_000_000) < 40 * best(100_000) + 20);
  });
});
