/**
 * Writes what the suite's code decides: the catalogue of cases, and the schema of subject files.
 *
 *     npm run conformance:generate
 */
import { writeFile } from "node:fs/promises";
import { subjectSchema } from "../src/cli/conformance/subject-shape.js";
import { catalogue } from "./catalogue.js";

await writeFile(new URL("../docs/conformance/cases.md", import.meta.url), catalogue());
await writeFile(
  new URL("../schema/conformance-subject.schema.json", import.meta.url),
  JSON.stringify(subjectSchema),
);
