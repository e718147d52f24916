#!/usr/bin/env node
// Lists the numbered statements of the specification that no test's name begins with.
// A name may carry several: `server 27, 54: …`.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The first and the last statement of each area. */
const statements = { client: [1, 25], server: [1, 92], mcp: [1, 52], scale: [34, 50] };

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
for (const [area, [first, last]] of Object.entries(statements)) {
  const missing = Array.from({ length: last - first + 1 }, (_, at) => at + first).filter(
    (number) => !proven[area].has(number),
  );
  console.log(
    `${area} ${first} to ${last}: ${missing.length === 0 ? "all have a test" : `no test for ${missing.join(", ")}`}`,
  );
  hasGaps ||= missing.length > 0;
}
process.exitCode = hasGaps ? 1 : 0;
