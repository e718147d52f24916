#!/usr/bin/env node
// Lists the numbered statements of the specification that no test's name begins with.
// A name may carry several: `server 27, 54: …`.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const statements = { client: 25, server: 92, mcp: 52 };

const proven = Object.fromEntries(Object.keys(statements).map((area) => [area, new Set()]));
const areas = Object.keys(statements).join("|");
const numbered = new RegExp(`["'\`](${areas}) (\\d+(?:, \\d+)*):`, "g");
for (const file of readdirSync("test", { recursive: true })) {
  if (!file.endsWith(".test.ts") || file.includes("node_modules")) continue;
  const source = readFileSync(join("test", file), "utf8");
  for (const [, area, numbers] of source.matchAll(numbered)) {
    for (const number of numbers.split(", ")) proven[area].add(Number(number));
  }
}

let hasGaps = false;
for (const [area, count] of Object.entries(statements)) {
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter(
    (number) => !proven[area].has(number),
  );
  console.log(
    `${area} 1 to ${count}: ${missing.length === 0 ? "all have a test" : `no test for ${missing.join(", ")}`}`,
  );
  hasGaps ||= missing.length > 0;
}
process.exitCode = hasGaps ? 1 : 0;
