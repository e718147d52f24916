import { describe, expect, it, onTestFinished } from "vitest";
import { runSuite } from "../../src/conformance/run-suite.js";
import type { SuiteReport } from "../../src/conformance/suite-report.js";
import { openTestSubject } from "./support/test-subject.js";

/** The failures of a report, in words. */
function failuresOf({ cases }: SuiteReport): string[] {
  return cases
    .filter(({ outcome }) => outcome === "fail" || outcome === "error")
    .map((one) => `${one.id} ${one.protocol}: ${one.expected}; ${one.actual} ${one.why}`);
}

describe("the correct server", () => {
  it("fails no case on any protocol, and exercises each case of level must", async () => {
    const { subject, close } = await openTestSubject({ unitMs: 150 });
    onTestFinished(close);
    const report = await runSuite(subject, { jobs: 4, inferred: true, level: "should" });
    expect(failuresOf(report)).toEqual([]);
    const missing = report.cases
      .filter(({ outcome }) => outcome === "not-exercised" || outcome === "unimplemented")
      .map(({ id, protocol, why }) => `${id} ${protocol}: ${why}`);
    expect(missing).toEqual([]);
    expect(report.summary).toMatch(/^held: /);
    expect(report.exitCode).toBe(0);
  }, 60_000);
});
