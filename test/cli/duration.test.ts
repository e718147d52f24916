import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/cli/duration.js";
import { formatAge, formatElapsed } from "../../src/display/format-time.js";

describe("parseDuration", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["1.5h", 5_400_000],
    ["24d", 2_073_600_000],
  ])("reads %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "30", "s", "-1s", "1 s", "1e3s", "0s", "25d", "30S", "1s1s", ".5s"])(
    "refuses %j",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/^It must be /);
    },
  );
});

describe("formatAge", () => {
  it.each([
    [-5, "0s"],
    [119_999, "119s"],
    [120_000, "2m"],
    [7_199_999, "119m"],
    [7_200_000, "2h"],
    [172_800_000, "2d"],
  ])("shows %i ms as %s", (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});

describe("formatElapsed", () => {
  it.each([
    [0, "0:00"],
    [65_900, "1:05"],
    [3_723_000, "1:02:03"],
  ])("shows %i ms as %s", (ms, text) => {
    expect(formatElapsed(ms)).toBe(text);
  });
});
