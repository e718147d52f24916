import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { catalogue } from "../../conformance/catalogue.js";
import { subjectSchema } from "../../src/cli/conformance/subject-shape.js";

it("docs/conformance/cases.md is the catalogue of the cases", () => {
  const page = readFileSync(new URL("../../docs/conformance/cases.md", import.meta.url), "utf8");
  expect(page).toBe(catalogue());
});

it("schema/conformance-subject.schema.json is the schema of the shape that the command checks", () => {
  const path = new URL("../../schema/conformance-subject.schema.json", import.meta.url);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(subjectSchema);
});
