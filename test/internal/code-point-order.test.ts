import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareCodePoints } from "../../src/internal/code-point-order.js";

describe("compareCodePoints", () => {
  it("has the order of the texts' UTF-8 bytes", () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom("a", "\uffee", "🖨", "\u{10000}"),
        fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
      ),
    });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const expected = Buffer.compare(Buffer.from(one), Buffer.from(other));
        expect(Math.sign(compareCodePoints(one, other))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
    expect(compareCodePoints("\uffee", "🖨")).toBeLessThan(0);
  });
});
