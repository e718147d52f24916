import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { createEnvelopeReader, encodeEnvelope } from "../../src/node/envelope.js";
import { inPieces } from "../support/envelope-bytes.js";

const readMaxBytes = 10_000;

describe("createEnvelopeReader", () => {
  it("reads what encodeEnvelope writes, wherever the bytes are cut", () => {
    const envelopes = fc.array(
      fc.record(
        { isCompressed: fc.boolean(), data: fc.uint8Array({ maxLength: 5000 }) },
        { noNullPrototype: true },
      ),
      { maxLength: 4 },
    );
    const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 8 });
    fc.assert(
      fc.property(envelopes, sizes, (given, cuts) => {
        const reader = createEnvelopeReader(readMaxBytes);
        const pieces = inPieces(Buffer.concat(given.map(encodeEnvelope)), cuts);
        assert.deepEqual(
          pieces.flatMap((piece) => reader.read(piece)),
          given,
        );
        assert.equal(reader.isIncomplete(), false);
      }),
    );
  });

  it("gives bytes of its own, which no later chunk changes", () => {
    const chunk = encodeEnvelope({ isCompressed: false, data: Buffer.from("print") });
    const [envelope] = createEnvelopeReader(readMaxBytes).read(chunk);
    chunk.fill(0);
    assert.equal(Buffer.from(envelope?.data ?? []).toString(), "print");
  });

  it("refuses a message by its length, before any of it has come", () => {
    const head = Buffer.of(0, 0xff, 0xff, 0xff, 0xff);
    const reader = createEnvelopeReader(readMaxBytes);
    assert.deepEqual(reader.read(head.subarray(0, 4)), []);
    assert.throws(() => reader.read(head.subarray(4)), /message size 4294967295 is larger/);
  });
});
