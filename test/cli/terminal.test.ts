import { describe, expect, it } from "vitest";
import { createTerminal } from "../../src/cli/terminal.js";
import { styled } from "../../src/display/style.js";

const tty = { write: () => true, isTTY: true, columns: 100 };
const pipe = { write: () => true };

describe("createTerminal", () => {
  it.each([
    ["a terminal", tty, {}, { isTerminal: true, hasColors: true }],
    ["a pipe", pipe, {}, { isTerminal: false, hasColors: false }],
    ["a terminal with NO_COLOR", tty, { NO_COLOR: "1" }, { isTerminal: true, hasColors: false }],
    [
      "a terminal with an empty NO_COLOR",
      tty,
      { NO_COLOR: "" },
      { isTerminal: true, hasColors: true },
    ],
    ["a dumb terminal", tty, { TERM: "dumb" }, { isTerminal: false, hasColors: false }],
  ])("knows %s", (_, stream, env, expected) => {
    expect(createTerminal(stream, pipe, env).out).toMatchObject(expected);
  });

  it("returns the current width, and 80 if it is unknown", () => {
    const resized = { ...tty };
    const { out, err } = createTerminal(resized, pipe, {});
    expect([out.columns, err.columns]).toEqual([100, 80]);
    resized.columns = 60;
    expect(out.columns).toBe(60);
  });
});

describe("styled", () => {
  it("leaves text as it is where there are no colours", () => {
    expect(styled({ hasColors: false }, "red", "text")).toBe("text");
    expect(styled({ hasColors: true }, "red", "text")).toBe("\x1b[31mtext\x1b[0m");
  });
});
