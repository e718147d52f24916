import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import {
  isWellEscaped,
  percentDecode,
  percentDecodeReserved,
} from "../../src/rest/percent-encoding.js";

describe("percent decoding", () => {
  it("gives every text back that was encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.equal(percentDecode(encodeURIComponent(text)), text);
      }),
    );
  });

  it.each([
    ["operations%2Fdone", "operations%2Fdone"],
    ["operations%2fdone", "operations%2fdone"],
    ["a%20b%2Fc%C3%A9", "a b%2Fcé"],
    ["%252F", "%2F"],
    ["a/b", "a/b"],
    ["odd~1.2_3-%C3%A9%20x", "odd~1.2_3-é x"],
  ])("server 87: decodes all of %j once but for an encoded slash", (raw, decoded) => {
    assert.equal(percentDecodeReserved(raw), decoded);
  });

  it.each(["%C3", "%ff", "%C3%2F%A9", "%ED%A0%80"])("refuses %j, which is not UTF-8", (raw) => {
    assert.equal(percentDecode(raw), undefined);
    assert.equal(percentDecodeReserved(raw), undefined);
  });

  it.each(["%", "a%2", "%zz", "%%41", "%u0041"])("knows %j for a broken escape", (raw) => {
    assert.equal(isWellEscaped(raw), false);
  });
});
