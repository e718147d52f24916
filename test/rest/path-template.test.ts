import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { parsePathTemplate } from "../../src/rest/path-template.js";

/** A template's segments as one word each. */
const segmentsOf = (text: string) =>
  parsePathTemplate(text).segments.map((segment) => {
    if (segment.kind === "literal") return segment.text;
    return segment.kind === "one" ? "*" : "**";
  });

describe("parsePathTemplate", () => {
  it("takes a variable without a pattern for one segment (http.proto)", () => {
    const template = parsePathTemplate("/v1/messages/{message_id}");
    assert.deepEqual(segmentsOf(template.text), ["v1", "messages", "*"]);
    assert.deepEqual(template.variables, [
      { fieldPath: ["message_id"], start: 2, end: 3, isSingle: true },
    ]);
  });

  it("lays the segments of a variable between the others", () => {
    const template = parsePathTemplate("/v1/{name=projects/*/locations/*}/operations:purge");
    assert.deepEqual(segmentsOf(template.text), [
      "v1",
      "projects",
      "*",
      "locations",
      "*",
      "operations",
    ]);
    assert.deepEqual(template.variables, [
      { fieldPath: ["name"], start: 1, end: 5, isSingle: false },
    ]);
    assert.equal(template.verb, "purge");
  });

  it("lets a variable that ends in ** reach to the path's end", () => {
    const [variable] = parsePathTemplate("/v1/{name=operations/**}:cancel").variables;
    assert.deepEqual(variable, { fieldPath: ["name"], start: 1, end: undefined, isSingle: false });
  });

  it("reads the template of the root", () => {
    assert.deepEqual(parsePathTemplate("/"), {
      text: "/",
      segments: [],
      variables: [],
      verb: undefined,
    });
  });

  it("reads nested field paths and several variables", () => {
    const { variables } = parsePathTemplate("/v1/{book.shelf=shelves/*}/{book.name}");
    assert.deepEqual(
      variables.map(({ fieldPath, isSingle }) => [fieldPath, isSingle]),
      [
        [["book", "shelf"], false],
        [["book", "name"], true],
      ],
    );
  });

  it.each([
    ["", 'no "/" at position 0'],
    ["v1/x", 'no "/" at position 0'],
    ["//", "no segment at position 1"],
    ["/:go", "no segment at position 1"],
    ["/v1//x", "no segment at position 4"],
    ["/v1/", "no segment at position 4"],
    ["/v1/**/x", "a segment after ** at position 7"],
    ["/v1/{name=**}/x", "a segment after ** at position 14"],
    ["/v1/{name=a/{b}}", "no segment at position 12"],
    ["/v1/{name", 'no "}" at position 9'],
    ["/v1/{}", "no field path at position 5"],
    ["/v1/{name=}", "no segment at position 10"],
    ["/v1/{a.}", 'no "}" at position 6'],
    ["/v1/x:", "no verb at position 6"],
    ["/v1/x:a:b", "something that belongs to no segment at position 7"],
    ["/v1/x:a/b", "something that belongs to no segment at position 7"],
    ["/v1/a*b", "something that belongs to no segment at position 5"],
    ["/v1/***", "something that belongs to no segment at position 6"],
    ["/v1/x?y=1", "something that belongs to no segment at position 5"],
    ["/v1/%zz", "no segment at position 4"],
    ["/v1/{a}/{a}", "binds a field twice"],
  ])("refuses %j: %s", (text, fault) => {
    assert.throws(
      () => parsePathTemplate(text),
      (error) => error instanceof RangeError && error.message.includes(fault),
    );
  });
});
