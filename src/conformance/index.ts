export type {
  CaseClaim,
  CaseLevel,
  CaseOutcome,
  CaseResult,
  ConformanceCase,
  NeedLetter,
} from "./case.js";
export { allCases } from "./cases/index.js";
export { type ConformanceCaseOptions, conformanceCases } from "./conformance-cases.js";
export type {
  Budgets,
  Claims,
  DriverNeed,
  ExpectedError,
  HeaderFields,
  HttpNeed,
  Identities,
  MethodName,
  NamesNeed,
  Need,
  Needs,
  RestAddress,
  RpcNeed,
  StartFunction,
  StartPlan,
  SubjectOptions,
  WorkState,
} from "./description.js";
export { fillTemplate } from "./description.js";
export type { CallEvidence } from "./evidence.js";
export type { ExpectedFailure, StaleEntry } from "./expected-failures.js";
export { ConformanceFailure } from "./failure.js";
export { unreachedProtocols } from "./reach-subject.js";
export { jsonReport, reportSchemaUrl, subjectSchemaUrl } from "./report/json.js";
export { junitReport } from "./report/junit.js";
export { markdownReport } from "./report/markdown.js";
export { type TerminalReportOptions, terminalReport } from "./report/terminal.js";
export { runSuite, type SelectedCase, type SuiteOptions, suiteVersion } from "./run-suite.js";
export { openSubject, type Subject } from "./subject.js";
export type { CaseReport, OutcomeCounts, SuiteReport } from "./suite-report.js";
export { type Protocol, protocols } from "./wire/answer.js";
export type { RawExchange, RawRequest, RawResponse } from "./wire/raw-exchange.js";
