import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPayloadCopies } from "../../src/store/memory/payload-copies.js";
import { createPayloadSlabs, slabBytes } from "../../src/store/memory/payload-slabs.js";

/** Small, so that tests go from one chunk to the next. */
const chunkWords = 40;

describe("payload slabs", () => {
  it("return the bytes that were put, whatever else was put and freed", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.uint8Array({ minLength: 2000, maxLength: 2100 }),
    );
    const command = fc.oneof(
      { weight: 3, arbitrary: fc.record({ put: bytes }) },
      fc.record({ free: fc.nat(50) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const slabs = createPayloadSlabs();
        const kept: { handle: number; bytes: Uint8Array }[] = [];
        for (const each of commands) {
          if ("put" in each) {
            const handle = slabs.put(each.put);
            kept.push({ handle, bytes: each.put.slice() });
            // The store must not see what becomes of the caller's array.
            each.put.fill(0xee);
          } else {
            const [freed] = kept.splice(each.free, 1);
            if (freed !== undefined) slabs.free(freed.handle);
          }
        }
        const copies = createPayloadCopies(chunkWords);
        const read = kept.map(({ handle }) => slabs.get(handle, copies));
        expect(read).toEqual(kept.map(({ bytes }) => bytes));
        expect(kept.map(({ handle }) => slabs.copiedLengthOf(handle))).toEqual(
          // A cell of 2048 bytes, the largest, has four for the length.
          kept.map(({ bytes: { length } }) => (length > 2044 ? 0 : length)),
        );
        const held = kept.reduce((sum, { bytes }) => sum + slabBytes(bytes), 0);
        expect(slabs.heldBytes()).toBe(held);
        for (const { handle } of kept) slabs.free(handle);
        expect(slabs.heldBytes()).toBe(0);
      }),
    );
  });

  it("tell no bytes from none", () => {
    const slabs = createPayloadSlabs();
    const copies = createPayloadCopies(chunkWords);
    expect(slabs.get(slabs.put(new Uint8Array()), copies)).toEqual(new Uint8Array());
    expect(slabs.get(slabs.put(undefined), copies)).toBeUndefined();
  });

  it("keep returned bytes unchanged after their cell is freed and reused", () => {
    const slabs = createPayloadSlabs();
    const handle = slabs.put(Uint8Array.of(1, 2, 3));
    const before = slabs.get(handle, createPayloadCopies(chunkWords));
    slabs.free(handle);
    slabs.put(Uint8Array.of(4, 5, 6));
    expect(before).toEqual(Uint8Array.of(1, 2, 3));
  });

  it.each([10, 10_000])("keep a copy of a Buffer of %d bytes, not a view of it", (length) => {
    const slabs = createPayloadSlabs();
    const given = Buffer.alloc(length, 1);
    const handle = slabs.put(given);
    given.fill(2);
    const kept = slabs.get(handle, createPayloadCopies(chunkWords));
    expect(kept).toEqual(new Uint8Array(length).fill(1));
  });

  it("leave a fifth of a cell empty at most, but for the smallest", () => {
    for (let length = 60; length <= 4000; length += 1) {
      expect(slabBytes(new Uint8Array(length))).toBeLessThanOrEqual(length * 1.25 + 200);
      expect(slabBytes(new Uint8Array(length))).toBeGreaterThanOrEqual(length);
    }
  });
});
