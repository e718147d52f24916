import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPageTokens } from "../../src/server/page-token.js";

const cursor = fc.record({
  createTimeMicros: fc.maxSafeNat(),
  name: fc.string({ unit: "grapheme", maxLength: 100 }),
});
const list = fc.record({ parent: fc.string(), filter: fc.string(), principal: fc.string() });

describe("page tokens", () => {
  const tokens = createPageTokens(undefined);

  it("open to what was sealed, to the microsecond", async () => {
    await fc.assert(
      fc.asyncProperty(cursor, list, async (place, identity) => {
        expect(await tokens.open(await tokens.seal(place, identity), identity)).toEqual(place);
      }),
    );
  });

  it("server 38: do not open for another list", async () => {
    await fc.assert(
      fc.asyncProperty(cursor, list, list, async (place, one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        expect(await tokens.open(await tokens.seal(place, one), other)).toBeUndefined();
      }),
    );
  });

  it("server 41: do not open with any one bit changed", async () => {
    const identity = { parent: "p", filter: "", principal: "" };
    const token = await tokens.seal({ createTimeMicros: 1, name: "operations/1" }, identity);
    const bytes = Buffer.from(token, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(await tokens.open(changed.toString("base64url"), identity)).toBeUndefined();
    }
  });

  it("server 41: do not open with any one character changed", async () => {
    const identity = { parent: "p", filter: "", principal: "" };
    const token = await tokens.seal({ createTimeMicros: 1, name: "operations/12" }, identity);
    for (let at = 0; at < token.length; at += 1) {
      const other = token[at] === "A" ? "B" : "A";
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      expect(await tokens.open(changed, identity)).toBeUndefined();
    }
  });

  it("server 41: do not open from arbitrary text, and never throw", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 200 }), async (text) => {
        expect(await tokens.open(text, { parent: "", filter: "", principal: "" })).toBeUndefined();
      }),
    );
  });

  it("are read up to 2048 characters, which suffice for the longest name", async () => {
    const identity = { parent: "", filter: "", principal: "" };
    const name = "n".repeat(1024);
    const token = await tokens.seal({ createTimeMicros: Number.MAX_SAFE_INTEGER, name }, identity);
    expect(token.length).toBeLessThanOrEqual(2048);
    // Text after the token in another alphabet is skipped by some decoders of base64.
    expect(await tokens.open(token + "=".repeat(2049 - token.length), identity)).toBeUndefined();
  });
});
