import type { SuiteReport } from "../suite-report.js";

/** Address of the schema of `jsonReport`. */
export const reportSchemaUrl =
  "https://unpkg.com/connect-longrunning/schema/conformance-report.schema.json";

/** Address of the schema of subject files. */
export const subjectSchemaUrl =
  "https://unpkg.com/connect-longrunning/schema/conformance-subject.schema.json";

/** Returns a report in JSON, by the schema `schema/conformance-report.schema.json`. */
export function jsonReport(report: SuiteReport): string {
  return `${JSON.stringify({ $schema: reportSchemaUrl, ...report }, undefined, 2)}\n`;
}
