import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { median, pairedRatios, spreadOf } from "../../bench/ratios.js";

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

describe("median", () => {
  it("is the middle one of an odd number of values, in whatever order they come", () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([10, 9, 8, 100, 7]), 9);
  });

  it("is the mean of the two in the middle of an even number", () => {
    assert.equal(median([4, 1, 3, 100]), 3.5);
  });

  it("leaves the values in their order", () => {
    const values = [3, 1, 2];
    median(values);
    assert.deepEqual(values, [3, 1, 2]);
  });

  it("refuses to be that of no values", () => {
    assert.throws(() => median([]), RangeError);
  });
});

describe("pairedRatios", () => {
  it("divides by the baseline of the same round", () => {
    assert.deepEqual(pairedRatios([110, 330, 90], [100, 300, 100]), [1.1, 1.1, 0.9]);
  });

  it("keeps a disturbed round from moving the median, as it does move that of the values", () => {
    const [service, bare] = [
      [30, 110, 22],
      [10, 100, 20],
    ] as const;
    assert.equal(median(pairedRatios(service, bare)), 1.1);
    assert.equal(median(service) / median(bare), 1.5);
  });

  it("refuses rounds that have no partner", () => {
    assert.throws(() => pairedRatios([1, 2], [1]), RangeError);
  });
});

describe("spreadOf", () => {
  it("gives both ends and the middle of all rounds of all launches", () => {
    const {
      min,
      median: middle,
      max,
    } = spreadOf([
      [1.2, 0.9],
      [1.05, 1.1, 1],
    ]);
    assert.deepEqual([min, middle, max], [0.9, 1.05, 1.2]);
  });

  // Ranks of the 95 % confidence interval of a median, as in any table of the sign test.
  for (const [launches, low, high] of [
    [6, 1, 6],
    [8, 1, 8],
    [9, 2, 8],
    [10, 2, 9],
    [20, 6, 15],
    [50, 18, 33],
    [100, 40, 61],
  ] as const) {
    it(`takes launches ${low} and ${high} of ${launches} as the bounds of the median`, () => {
      const medians = upTo(launches).map((value) => [value]);
      assert.deepEqual(spreadOf(medians).medianWithin, [low, high]);
    });
  }

  it("counts a launch once, however many rounds it has", () => {
    const launches = upTo(6).map((value) => Array<number>(100).fill(value));
    assert.deepEqual(spreadOf(launches).medianWithin, [1, 6]);
  });

  it("does not say what the median may be from fewer than six launches", () => {
    const launches = upTo(5).map((value) => [value, value, value]);
    assert.equal(spreadOf(launches).medianWithin, undefined);
  });

  it("copes with 2,000 launches, where 2 to the minus n is 0 in a double", () => {
    const within = spreadOf(upTo(2000).map((value) => [value])).medianWithin;
    assert.ok(within && within[0] > 950 && within[0] < 960, `${within}`);
  });
});
