import { readFileSync } from "node:fs";
import { Validator } from "@cfworker/json-schema";
import { beforeAll, describe, expect, it } from "vitest";
import { jsonReport } from "../../src/conformance/report/json.js";
import { junitReport } from "../../src/conformance/report/junit.js";
import { markdownReport } from "../../src/conformance/report/markdown.js";
import { terminalReport } from "../../src/conformance/report/terminal.js";
import { runSuite, type SuiteOptions } from "../../src/conformance/run-suite.js";
import type { SuiteReport } from "../../src/conformance/suite-report.js";
import { openTestSubject } from "./support/test-subject.js";

const cases = ["list.size", "get.unknown", "wait.holds", "list.filter-ignored", "cancel.ends"];

/** Runs a few cases against the server that ignores page_size. */
async function report(options: SuiteOptions = {}): Promise<SuiteReport> {
  const { subject, close } = await openTestSubject(
    { mutant: 24, unitMs: 20, seed: 7 },
    {
      driver: false,
      needs: { succeeds: { driver: true }, takes: { driver: true } },
      output: () => "a log line <of> the subject",
      secrets: ["00000000"],
    },
  );
  try {
    return await runSuite(subject, { cases, ...options });
  } finally {
    await close();
  }
}

describe("the report of a run with a failure", () => {
  let failed: SuiteReport;
  beforeAll(async () => {
    failed = await report();
  });

  it("begins its summary with incomplete, and ends with exit code 1", () => {
    expect(failed.summary).toBe(
      "incomplete: 5 failed, 5 held, 5 not exercised, 1 skipped, 1 present",
    );
    expect(failed.exitCode).toBe(1);
  });

  it("has each failure on a terminal, with the lines that repeat it", () => {
    const text = terminalReport(failed, { command: "longrunning conformance a.json" });
    expect(text.split("\n")[0]).toBe(failed.summary);
    expect(text).toContain("FAIL  list.size  grpc  must  no page is larger than page_size");
    expect(text).toContain("  expected  at most 2 operations for page_size 2");
    expect(text).toContain(
      "longrunning conformance a.json --case list.size --protocol grpc --seed 7",
    );
    expect(text).toMatch(/grpcurl -plaintext .* google.longrunning.Operations\/ListOperations/);
    expect(text).toContain("a log line <of> the subject");
    expect(text).toContain('declare the need "runsUntilCancelled"');
  });

  it("is JSON by the published schema, with bytes of each call and without secrets", () => {
    const text = jsonReport(failed);
    const schema = JSON.parse(readFileSync("schema/conformance-report.schema.json", "utf8"));
    const { valid, errors } = new Validator(schema, "2020-12", false).validate(JSON.parse(text));
    expect(errors).toEqual([]);
    expect(valid).toBe(true);
    const [call] = failed.cases.find(({ outcome }) => outcome === "fail")?.evidence ?? [];
    expect(call).toMatchObject({ method: expect.any(String), requestBytes: expect.any(String) });
    expect(text).not.toContain("Bearer owner");
    expect(text).toContain('"authorization": "***"');
  });

  it("is JUnit with a suite for each protocol", () => {
    const text = junitReport(failed);
    expect(text.match(/<testsuite /g)).toHaveLength(5);
    expect(text.match(/<failure /g)).toHaveLength(5);
    expect(text.match(/<skipped /g)).toHaveLength(6);
    expect(text.match(/<testcase /g)).toHaveLength(failed.cases.length);
    expect(text).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/);
  });

  it("is Markdown with a table of cases by protocols", () => {
    const text = markdownReport(failed);
    expect(text).toContain(
      "| list.size | must | **FAIL** | **FAIL** | **FAIL** | **FAIL** | **FAIL** |",
    );
    expect(text).toContain("| wait.holds | may | present |  |  |  |  |");
  });
});

describe("expected failures", () => {
  it("excuse a failure, and the run ends with exit code 0", async () => {
    const excused = await report({
      expectedFailures: [{ case: "list.size", got: "3 operations", reason: "pages have 3" }],
    });
    expect(excused.cases.filter((one) => one.excused !== undefined)).toHaveLength(5);
    expect(excused.stale).toEqual([]);
    expect(excused.exitCode).toBe(0);
    expect(terminalReport(excused, { command: "c" })).toContain("known     pages have 3");
  });

  it.each([
    ["an unknown case", { case: "list.sizes", reason: "r" }, "there is no such case"],
    ["a case that passes", { case: "get.unknown", reason: "r" }, "the case ended in pass"],
    [
      "a case that is skipped",
      { case: "list.filter-ignored", reason: "r" },
      "the case ended in skipped",
    ],
    [
      "another failure",
      { case: "list.size", got: "9 operations", reason: "r" },
      'the failure does not contain "9 operations"',
    ],
  ])("are stale for %s, and the run ends with exit code 1", async (_, entry, why) => {
    const stale = await report({
      cases: [entry.case === "list.sizes" ? "get.unknown" : entry.case],
      expectedFailures: [entry],
    });
    expect(stale.stale.map((one) => one.why)).toEqual([why]);
    expect(stale.exitCode).toBe(1);
  });

  it("are not judged if their case is not selected", async () => {
    const { stale } = await report({
      cases: ["get.unknown"],
      expectedFailures: [{ case: "list.size", reason: "r" }],
    });
    expect(stale).toEqual([]);
  });
});

describe("the end of a run", () => {
  it("has exit code 5 when the total time is over", async () => {
    const late = await report({ totalMs: 0 });
    expect(late.exitCode).toBe(5);
    expect(late.cases.at(-1)).toMatchObject({
      outcome: "not-exercised",
      why: "the total time was over",
    });
  });

  it("has exit code 130 when it was interrupted", async () => {
    const interrupted = await report({ signal: AbortSignal.abort() });
    expect(interrupted.exitCode).toBe(130);
  });

  it("has exit code 1 for a case of level must that is not exercised, if that is required", async () => {
    const required = await report({ cases: ["cancel.ends"], requireExercised: true });
    expect(required.exitCode).toBe(1);
  });

  it("leaves cases unexercised after the subject has ended", async () => {
    let hasEnded = false;
    const { subject, close } = await openTestSubject({ unitMs: 20 }, { hasEnded: () => hasEnded });
    const { cases } = await runSuite(subject, {
      cases: ["get.unknown", "get.near"],
      protocols: ["grpc"],
      onEnd: () => {
        hasEnded = true;
      },
    });
    await close();
    expect(cases.map(({ outcome, why }) => `${outcome} ${why}`)).toEqual([
      "pass ",
      "not-exercised the subject has ended",
    ]);
  });
});
