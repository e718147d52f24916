import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createOrderedIds, type Walk } from "../../src/store/memory/ordered-ids.js";

function allOf(walk: Walk): number[] {
  const all: number[] = [];
  for (let id = walk(); id !== undefined; id = walk()) all.push(id);
  return all;
}

/** Ids in descending order of themselves, so that the order is not the one of numbers. */
const descending = (one: number, other: number) => other - one;

describe("ordered ids", () => {
  it("walk both ways from any place, after any adds and removals", () => {
    // Runs of neighbours fill and empty whole leaves, single ones hit the middle of them.
    const command = fc.record({
      isAdd: fc.oneof({ weight: 2, arbitrary: fc.constant(true) }, fc.constant(false)),
      from: fc.nat(3000),
      count: fc.oneof(fc.constant(1), fc.nat(900)),
      isUpwards: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12 }), fc.nat(4000), (commands, place) => {
        const ids = createOrderedIds(descending);
        const expected = new Set<number>();
        for (const { isAdd, from, count, isUpwards } of commands) {
          for (let at = 0; at < count; at += 1) {
            const id = from + (isUpwards ? at : count - at);
            if (isAdd === expected.has(id)) continue;
            if (isAdd) ids.add(id);
            else ids.remove(id);
            if (isAdd) expected.add(id);
            else expected.delete(id);
          }
        }
        const sorted = [...expected].sort(descending);
        expect(ids.first()).toBe(sorted[0]);
        const probe = (id: number) => descending(id, place);
        expect(allOf(ids.ascendFrom(probe))).toEqual(sorted.filter((id) => id <= place));
        expect(allOf(ids.descendBefore(probe))).toEqual(
          sorted.filter((id) => id > place).toReversed(),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("refuse to remove what is not there", () => {
    const ids = createOrderedIds(descending);
    ids.add(1);
    expect(() => ids.remove(2)).toThrow(RangeError);
    ids.remove(1);
    expect(() => ids.remove(1)).toThrow(RangeError);
  });
});
