import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { type PathTemplate, parsePathTemplate } from "../../src/rest/path-template.js";
import { createRouteTable } from "../../src/rest/route-table.js";

/** A table of templates, each under GET or the method before it, leading to its own text. */
function tableOf(...rules: readonly string[]) {
  const table = createRouteTable<string>();
  for (const rule of rules) {
    const [method = "", path = ""] = rule.includes(" ") ? rule.split(" ") : ["GET", rule];
    table.add(method, parsePathTemplate(path), rule);
  }
  return table;
}

const targetOf = (table: ReturnType<typeof tableOf>, path: string, method = "GET") => {
  const found = table.find(method, path);
  return found.kind === "found" ? found.target : undefined;
};

describe("createRouteTable", () => {
  const operations = tableOf(
    "/v1/{name=operations}",
    "/v1/{name=operations/**}",
    "POST /v1/{name=operations/**}:cancel",
    "/v1/{name=operations/special}",
    "/v1/{name=operations/*}:stat",
  );

  it.each([
    ["/v1/operations", "/v1/{name=operations}"],
    ["/v1/operations/a", "/v1/{name=operations/**}"],
    ["/v1/operations/a/b/c", "/v1/{name=operations/**}"],
    ["/v1/operations/special", "/v1/{name=operations/special}"],
    ["/v1/operations/special/more", "/v1/{name=operations/**}"],
    ["/v1/operations/a:stat", "/v1/{name=operations/*}:stat"],
    ["/v1/operations/..", "/v1/{name=operations/**}"],
    ["/v1/operations/a%2Fb", "/v1/{name=operations/**}"],
    ["/v1/operations/a%3Astat", "/v1/{name=operations/**}"],
    ["/v1/operations/é", "/v1/{name=operations/**}"],
    ["/v1/operations/", undefined],
    ["/v1/operations//a", undefined],
    ["/v1/operations/a/", undefined],
    ["//v1/operations", undefined],
    ["/v1/operations%2Fa", undefined],
    ["/v1/%6Fperations", undefined],
    ["/V1/operations", undefined],
    // A ":" is text unless a template of this path has such a verb.
    ["/v1/operations/a:nope", "/v1/{name=operations/**}"],
    ["/v1/operations/a:", "/v1/{name=operations/**}"],
    ["/v1/operations/:nope", "/v1/{name=operations/**}"],
    ["/v1/operations/a:b:stat", "/v1/{name=operations/*}:stat"],
    ["/v1/operations/a/b:stat", "/v1/{name=operations/**}"],
    ["/v1/operations/a:stat:b", "/v1/{name=operations/**}"],
    // Another HTTP method has the verb.
    ["/v1/operations/a:cancel", undefined],
    ["/v1", undefined],
    ["/", undefined],
    ["", undefined],
    ["*", undefined],
  ])("leads GET %s to %s", (path, expected) => {
    assert.equal(targetOf(operations, path), expected);
  });

  it("names the methods of a path whose verb is under another one", () => {
    assert.deepEqual(operations.find("GET", "/v1/operations/a:cancel"), {
      kind: "otherMethod",
      allowed: ["POST"],
    });
  });

  it("finds the root", () => {
    assert.equal(targetOf(tableOf("/", "/a"), "/"), "/");
    assert.equal(targetOf(tableOf("/", "/a"), "//"), undefined);
    assert.equal(targetOf(tableOf("/a"), "/"), undefined);
  });

  it("server 87: does not take a verb into the name that ** stands for", () => {
    const found = operations.find("POST", "/v1/operations/a/b:cancel");
    assert.deepEqual(found, {
      kind: "found",
      target: "POST /v1/{name=operations/**}:cancel",
      segments: ["v1", "operations", "a", "b"],
    });
  });

  it("prefers a literal to *, and that to **, from left to right", () => {
    const table = tableOf("/a/**", "/a/*/c", "/a/b/*", "/*/b/c");
    assert.equal(targetOf(table, "/a/b/c"), "/a/b/*");
    assert.equal(targetOf(table, "/a/x/c"), "/a/*/c");
    assert.equal(targetOf(table, "/a/x/y"), "/a/**");
    assert.equal(targetOf(table, "/x/b/c"), "/*/b/c");
  });

  it("goes back to a worse one where the better leads nowhere", () => {
    const table = tableOf("/a/b/c/d", "/a/*/c/e", "/**");
    assert.equal(targetOf(table, "/a/b/c/e"), "/a/*/c/e");
    assert.equal(targetOf(table, "/a/b/c/f"), "/**");
  });

  it("finds a less specific template under the request's method, or names the other methods", () => {
    const table = tableOf("GET /a/b", "DELETE /a/*", "* /any");
    assert.equal(targetOf(table, "/a/b", "DELETE"), "DELETE /a/*");
    assert.deepEqual(table.find("POST", "/a/b"), {
      kind: "otherMethod",
      allowed: ["DELETE", "GET"],
    });
    assert.equal(targetOf(table, "/any", "BREW"), "* /any");
  });

  it("refuses a second template for the same paths, whatever its variables are named", () => {
    const table = tableOf("/v1/{name=operations/*}");
    assert.throws(() => table.add("GET", parsePathTemplate("/v1/operations/{id}"), "x"), {
      name: "RangeError",
      message: "GET /v1/operations/{id} matches the same paths as GET /v1/{name=operations/*}",
    });
  });

  it("finds what a naive matcher finds", () => {
    fc.assert(
      fc.property(fc.array(aTemplate, { minLength: 1, maxLength: 12 }), aPath, (texts, path) => {
        const unique = [...new Map(texts.map((text) => [text, parsePathTemplate(text)])).values()];
        const table = createRouteTable<string>();
        for (const template of unique) table.add("GET", template, template.text);
        assert.equal(targetOf(table, path), naiveMatch(unique, path)?.text);
      }),
      { numRuns: 100_000 },
    );
  }, 60_000);

  it("takes linear time for the longest paths, even if each segment has two candidates", () => {
    const depth = 12;
    const table = createRouteTable<string>();
    for (let bits = 0; bits < 2 ** depth; bits += 1) {
      const segments = Array.from({ length: depth }, (_, at) => ((bits >> at) & 1 ? "a" : "*"));
      table.add("GET", parsePathTemplate(`/${segments.join("/")}/end`), String(bits));
    }
    table.add("GET", parsePathTemplate("/**"), "rest");
    const perMegabyte = (path: string) => {
      const startMs = performance.now();
      table.find("GET", path);
      return ((performance.now() - startMs) * 1e6) / path.length;
    };
    perMegabyte(`/a`.repeat(1000));
    const best = (length: number) =>
      Math.min(...Array.from({ length: 5 }, () => perMegabyte("/a".repeat(length))));
    // Ten times the path: with quadratic time, a byte would cost ten times as much.
    assert.ok(best(1_000_000) < 5 * best(100_000));
  });
});

const aSegment = fc.constantFrom("a", "b", "c");
const aTemplate = fc
  .record({
    segments: fc.array(fc.oneof(aSegment, fc.constant("*")), { minLength: 1, maxLength: 4 }),
    rest: fc.boolean(),
    verb: fc.constantFrom("", ":go", ":stop"),
  })
  .map(({ segments, rest, verb }) => `/${[...segments, ...(rest ? ["**"] : [])].join("/")}${verb}`);
const aPath = fc
  .record({
    segments: fc.array(fc.oneof(aSegment, fc.constantFrom("", "%2F", "é", "..")), { maxLength: 5 }),
    verb: fc.constantFrom("", "", ":go", ":stop", ":", ":no"),
  })
  .map(({ segments, verb }) => `/${segments.join("/")}${verb}`);

/** All templates that match, tried one after another; the best by comparing them segment by segment. */
function naiveMatch(templates: readonly PathTemplate[], path: string): PathTemplate | undefined {
  const segments = path === "/" ? [] : path.slice(1).split("/");
  const [, name = "", verb] = /^(.*):([^:]*)$/s.exec(segments.at(-1) ?? "") ?? [];
  return (
    (verb && best(templates, [...segments.slice(0, -1), name], verb)) ||
    best(templates, segments, undefined)
  );
}

function best(
  templates: readonly PathTemplate[],
  segments: readonly string[],
  verb: string | undefined,
): PathTemplate | undefined {
  const rank = { literal: "0", one: "1", rest: "2" };
  const matching = templates.filter(
    (template) => template.verb === verb && matches(template, segments),
  );
  const keyed = matching.map((template) => ({
    template,
    // Where a template ends, the path does: better than ** for no segment.
    key: template.segments.map(({ kind }) => rank[kind]).join(""),
  }));
  keyed.sort((one, other) => (one.key < other.key ? -1 : 1));
  return keyed[0]?.template;
}

function matches(template: PathTemplate, segments: readonly string[]): boolean {
  if (segments.includes("")) return false;
  const rest = template.segments.findIndex(({ kind }) => kind === "rest");
  const fixed = rest < 0 ? template.segments : template.segments.slice(0, rest);
  if (rest < 0 ? segments.length !== fixed.length : segments.length < fixed.length) return false;
  return fixed.every((segment, at) => segment.kind !== "literal" || segment.text === segments[at]);
}
