import type { CaseReport, SuiteReport } from "../suite-report.js";
import { xmlText } from "./xml-text.js";

/**
 * Returns a report in JUnit's XML: a test suite for each protocol, a test case for each case. Cases
 * that are unimplemented, not exercised, skipped or failed as expected are `<skipped>`.
 */
export function junitReport(report: SuiteReport): string {
  const suites = report.protocols.map((protocol) => {
    const cases = report.cases.filter((one) => one.protocol === protocol);
    const count = (test: (one: CaseReport) => boolean) => cases.filter(test).length;
    const failures = count(({ outcome, excused }) => outcome === "fail" && excused === undefined);
    const attributes = [
      `name="${xmlText(`${report.subject} ${protocol}`)}"`,
      `tests="${cases.length}"`,
      `failures="${failures}"`,
      `errors="${count(({ outcome }) => outcome === "error")}"`,
      `skipped="${count(isSkipped)}"`,
      `time="${seconds(cases.reduce((sum, { ms }) => sum + ms, 0))}"`,
      `timestamp="${report.startTime.replace(/\.\d+Z$/, "")}"`,
    ];
    return `  <testsuite ${attributes.join(" ")}>\n${cases.map(testCase).join("")}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function isSkipped({ outcome, excused }: CaseReport): boolean {
  return (
    outcome === "unimplemented" ||
    outcome === "not-exercised" ||
    outcome === "skipped" ||
    (outcome === "fail" && excused !== undefined)
  );
}

function testCase(one: CaseReport): string {
  const { id, title, outcome, why, ms, expected = "", actual = "", excused } = one;
  const group = id.split(".")[0] ?? id;
  const open = `    <testcase classname="${xmlText(group)}" name="${xmlText(`${id}: ${title}`)}" time="${seconds(ms)}"`;
  if (isSkipped(one)) {
    const message = excused === undefined ? `${outcome}: ${why}` : `expected failure: ${excused}`;
    return `${open}>\n      <skipped message="${xmlText(message)}"/>\n    </testcase>\n`;
  }
  if (outcome === "fail") {
    const text = [`expected: ${expected}`, `actual: ${actual}`, ...one.repeat].join("\n");
    return `${open}>\n      <failure message="${xmlText(actual)}">${xmlText(text)}</failure>\n    </testcase>\n`;
  }
  if (outcome === "error") {
    return `${open}>\n      <error message="the suite could not judge it">${xmlText(why)}</error>\n    </testcase>\n`;
  }
  return `${open}/>\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
