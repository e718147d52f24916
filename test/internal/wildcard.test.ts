import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesWildcard, wildcardPieces } from "../../src/internal/wildcard.js";

const matches = (pattern: string, text: string) => matchesWildcard(wildcardPieces(pattern), text);

describe("matchesWildcard", () => {
  it.each([
    ["abc", "abc", true],
    ["abc", "abcd", false],
    ["abc", "ABC", false],
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "a*b", true],
    ["*.foo", "x.foo", true],
    ["*.foo", "x.foo.bar", false],
    ["a*", "abc", true],
    ["a*", "ba", false],
    ["a*c", "abc", true],
    ["a*a", "a", false],
    ["ab*ba", "aba", false],
    ["*ab*", "aab", true],
    ["*aab*", "aaab", true],
    ["*a*b*", "ba", false],
    ["a**b", "ab", true],
    ["*abab*abab*", "abababab", true],
    ["*abab*abab*", "ababab", false],
    ["a.c", "abc", false],
  ])("says whether %j fits %j", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it("agrees with a regular expression", () => {
    const text = (units: string) => fc.string({ unit: fc.constantFrom(...units), maxLength: 12 });
    fc.assert(
      fc.property(text("ab*"), text("ab"), (pattern, subject) => {
        const expression = new RegExp(`^${pattern.replaceAll("*", ".*")}$`);
        expect(matches(pattern, subject)).toBe(expression.test(subject));
      }),
      { numRuns: 5000 },
    );
  });

  it("takes time that is linear in the text, whatever the pattern", () => {
    const text = "a".repeat(1_000_000);
    const patterns = [
      `*${"a".repeat(2000)}b*`,
      `*b${"a".repeat(2000)}*`,
      "*a".repeat(2000),
      `${"*a".repeat(1000)}b`,
    ];
    for (const pattern of patterns) {
      const start = performance.now();
      matches(pattern, text);
      // Trying each place anew would take 2,000,000,000 steps.
      expect(performance.now() - start).toBeLessThan(500);
    }
  });
});
