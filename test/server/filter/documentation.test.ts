import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseFilter } from "../../../src/server/filter/parse-filter.js";
import {
  maxFilterDepth,
  maxFilterLength,
  maxFilterTerms,
} from "../../../src/server/filter/parse-filter-syntax.js";
import { filterMethods } from "../../support/filter-record.js";

const page = readFileSync(new URL("../../../docs/reference/filters.md", import.meta.url), "utf8");
const examples = /```text\n(.*?)\n```/s.exec(page)?.[1]?.split("\n") ?? [];

describe("docs/reference/filters.md", () => {
  it("has examples", () => {
    expect(examples.length).toBeGreaterThan(10);
  });

  it.each(examples)("server 50: shows a filter that is understood: %s", (example) => {
    expect(parseFilter(example, filterMethods)).toBeDefined();
  });

  it("server 50: names the bounds as they are", () => {
    expect(page.replaceAll("\n", " ")).toContain(
      `At most ${maxFilterLength} characters (UTF-16 units), ${maxFilterTerms} conditions and values, parentheses ${maxFilterDepth} deep.`,
    );
  });
});
