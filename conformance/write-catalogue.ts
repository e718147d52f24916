import { writeFile } from "node:fs/promises";
import { catalogue } from "./catalogue.js";

await writeFile(new URL("../docs/conformance/cases.md", import.meta.url), catalogue());
