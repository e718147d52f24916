import { readFileSync } from "node:fs";
import { Validator } from "@cfworker/json-schema";
import { expect, it } from "vitest";
import { catalogue } from "../../conformance/catalogue.js";
import { subjectSchema, subjectShape } from "../../src/cli/conformance/subject-shape.js";

it("docs/conformance/cases.md is the catalogue of the cases", () => {
  const page = readFileSync(new URL("../../docs/conformance/cases.md", import.meta.url), "utf8");
  expect(page).toBe(catalogue());
});

it("schema/conformance-subject.schema.json is the schema of the shape that the command checks", () => {
  const path = new URL("../../schema/conformance-subject.schema.json", import.meta.url);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(subjectSchema);
});

it.each(["connect-longrunning/subject", "grpc-js/subject", "python/subject", "go/subject"])(
  "the schema and the command's check both accept conformance/references/%s.json",
  (path) => {
    const url = new URL(`../../conformance/references/${path}.json`, import.meta.url);
    const subject = JSON.parse(readFileSync(url, "utf8"));
    expect(subjectShape.check(subject, "the file")).toBe(undefined);
    expect(new Validator(subjectSchema, "2020-12").validate(subject).errors).toEqual([]);
  },
);

it.each([
  ["protocols.grpc", "localhost:1"],
  ["protocols.rest.get", "PATCH /v1/{name}"],
  ["needs.fails", { driver: true, error: { code: 17 } }],
  ["needs.fails", { driver: true, error: { code: 1.5 } }],
  ["needs.fails", { names: "a" }],
  ["follows", [0]],
  ["claims.partialSuccess", true],
  ["budgets.answerMs", 0],
  ["tls.ca", 1],
  ["nothing", 1],
])("the schema and the command's check both refuse %s = %j", (path, value) => {
  const subject = {
    subject: "s",
    protocols: { rest: { url: "http://a" } },
    needs: {},
    budgets: {},
  };
  const names = path.split(".");
  const last = names.pop() ?? "";
  const parent = names.reduce<Record<string, unknown>>((object, name) => {
    object[name] ??= {};
    return object[name] as Record<string, unknown>;
  }, subject);
  parent[last] = value;
  expect(subjectShape.check(subject, "the file")).toMatch(/^the file/);
  expect(new Validator(subjectSchema, "2020-12").validate(subject).valid).toBe(false);
});
