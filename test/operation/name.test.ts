import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatOperationName, parseOperationName } from "../../src/operation/index.js";
import { parseListName } from "../../src/operation/name.js";

describe("parseOperationName", () => {
  it.each([
    ["operations/1", "", "1"],
    ["projects/p/operations/1", "projects/p", "1"],
    ["projects/p/locations/l/operations/a-b.c~d", "projects/p/locations/l", "a-b.c~d"],
    ["projects/é/operations/ü x", "projects/é", "ü x"],
    // Only the last collection counts.
    ["operations/1/operations/2", "operations/1", "2"],
  ])("reads %j", (name, parent, id) => {
    expect(parseOperationName(name)).toEqual({ parent, id });
  });

  it.each([
    ["empty", ""],
    ["the collection alone", "operations"],
    ["no id", "operations/"],
    ["a leading slash", "/operations/1"],
    ["a trailing slash", "operations/1/"],
    ["an empty segment", "projects//operations/1"],
    ["another collection", "projects/p/jobs/1"],
    ["something after the id", "operations/1/x"],
    ["a wildcard for a parent", "projects/-/operations/1"],
    ["a wildcard for an id", "operations/-"],
    ["a control character", "operations/1\n"],
    ["more than 1024 bytes", `operations/${"x".repeat(1014)}`],
    ["more than 1024 bytes in UTF-8", `operations/${"é".repeat(507)}`],
  ])("refuses a name with %s", (_, name) => {
    expect(parseOperationName(name)).toBeUndefined();
  });

  it("takes a name of exactly 1024 bytes", () => {
    expect(parseOperationName(`operations/${"x".repeat(1013)}`)?.id).toHaveLength(1013);
  });

  it("reads back what formatOperationName made", () => {
    const segment = fc.stringMatching(/^[^/\p{Cc}]{1,20}$/u).filter((text) => text !== "-");
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 5 }), segment, (parents, id) => {
        const name = { parent: parents.join("/"), id };
        expect(parseOperationName(formatOperationName(name))).toEqual(name);
      }),
    );
  });
});

describe("parseListName", () => {
  it.each([
    ["", ""],
    ["operations", ""],
    ["projects/p", "projects/p"],
    ["projects/p/operations", "projects/p"],
    ["projects/-/operations", "projects/-"],
  ])("server 51: %j means the parent %j", (name, parent) => {
    expect(parseListName(name)).toBe(parent);
  });

  it.each(["/", "projects//p", "projects/", "/operations", "a\u0000"])("refuses %j", (name) => {
    expect(parseListName(name)).toBeUndefined();
  });
});
