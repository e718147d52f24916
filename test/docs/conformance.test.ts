import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { catalogue } from "../../conformance/catalogue.js";

it("docs/conformance/cases.md is the catalogue of the cases", () => {
  const page = readFileSync(new URL("../../docs/conformance/cases.md", import.meta.url), "utf8");
  expect(page).toBe(catalogue());
});
