import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync("SECURITY.md", "utf8");
const [promises = "", tests = ""] = page.split("## Tests of these promises");

/** The rows of the tables in a part of the page, without their heads. */
const rowsOf = (part: string): string[][] =>
  [...part.matchAll(/^\| (.+) \|$/gm)]
    .map(([, row = ""]) => row.split(" | ").map((cell) => cell.trim()))
    .filter(([first]) => first !== "what" && first !== "promise");

const named = rowsOf(tests);

describe("SECURITY.md", () => {
  it("names a test for each bound", () => {
    const tested = new Set(named.map(([promise]) => promise));
    const bounds = rowsOf(promises)
      .filter((row) => !row.includes("`maxSessionBytes`"))
      .map(([what]) => what);
    expect(bounds.length).toBeGreaterThan(30);
    expect(bounds.filter((what) => !tested.has(what))).toEqual([]);
  });

  it("names a test for each promise that begins with a name in bold", () => {
    // That section has no promises.
    const promised = promises.replace(/## What it does not do[\s\S]*?(?=## )/, "");
    const titles = [...promised.matchAll(/^- \*\*([^*]+?)\.?\*\*/gm)].map(([, title]) => title);
    const tested = named.map(([promise = ""]) => promise);
    // A body parser is a program of the user.
    const missing = titles.filter((title) => title !== "A body parser");
    expect(missing.filter((title) => !tested.includes(title ?? ""))).toEqual([]);
  });

  it.each(named)("has a test: %s", (_promise, path = "", title = "") => {
    const file = path.replaceAll("`", "");
    const source = readFileSync(file, "utf8");
    // As it is written in the source: in quotes or backquotes, and whole.
    expect(['"', "'", "`"].some((quote) => source.includes(quote + title + quote))).toBe(true);
  });
});
