import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProgram } from "./run-program.js";
import { startSuiteServer } from "./suite-server.js";

const baseline = fileURLToPath(new URL("expected-failures.yml", import.meta.url));

/** The scenarios of the extension for tasks, which belong to no version of the protocol. */
const taskScenarios = [
  "tasks-lifecycle",
  "tasks-capability-negotiation",
  "tasks-wire-fields",
  "tasks-request-state-removal",
  "tasks-mrtr-input",
  "tasks-request-headers",
  "tasks-dispatch-and-envelope",
  "tasks-status-notifications",
  "tasks-required-task-error",
  "tasks-mrtr-composition",
];

let server: Awaited<ReturnType<typeof startSuiteServer>>;
beforeAll(async () => {
  server = await startSuiteServer();
});
afterAll(() => server.close());

/** Runs scenarios of the suite. Its exit code is 0 if exactly the expected checks fail. */
function runSuite(...args: string[]) {
  const all = ["server", "--url", server.url, "--expected-failures", baseline, ...args];
  return runProgram("@modelcontextprotocol/conformance/dist/index.js", all);
}

describe("the official conformance suite", { timeout: 60_000 }, () => {
  it.each([
    ["2026-07-28", 40],
    ["2025-11-25", 33],
    ["2025-06-18", 27],
  ])("fails in the expected checks alone at %s", async (version, scenarios) => {
    const { exitCode, stdout } = await runSuite("--suite", "all", "--spec-version", version);
    expect(stdout.match(/^[✓✗] /gm)?.length, stdout).toBeGreaterThanOrEqual(scenarios);
    expect(exitCode, stdout).toBe(0);
  });

  it.each(taskScenarios)("fails in the expected checks alone in %s", async (scenario) => {
    const { exitCode, stdout } = await runSuite("--scenario", scenario);
    expect(stdout).toMatch(/\d+ passed|Passed: \d+/i);
    expect(exitCode, stdout).toBe(0);
  });

  it("has a reason for each expected failure", async () => {
    let reason = "";
    for (const line of (await readFile(baseline, "utf8")).split("\n").slice(2)) {
      if (line.trim() === "") reason = "";
      if (line.trim().startsWith("#")) reason += line;
      if (line.trim().startsWith("- ")) expect(reason, line).not.toBe("");
    }
  });
});
