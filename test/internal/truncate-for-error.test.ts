import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { truncateForError } from "../../src/internal/truncate-for-error.js";

describe("echo", () => {
  it("leaves what is short as it is, also pairs of surrogates", () => {
    assert.equal(truncateForError("é 😀"), "é 😀");
    assert.equal(truncateForError("x".repeat(256)), "x".repeat(256));
  });

  it("cuts what is long, and leaves no half of a pair", () => {
    assert.equal(truncateForError("x".repeat(300)), `${"x".repeat(256)}…`);
    assert.equal(truncateForError(`${"x".repeat(255)}😀😀`), `${"x".repeat(255)}\ufffd…`);
  });

  it("replaces halves of pairs that came so, which no error could carry", () => {
    assert.equal(truncateForError("a\ud800b\udc00"), "a\ufffdb\ufffd");
  });
});
