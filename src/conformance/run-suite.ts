import type { CaseLevel, ConformanceCase } from "./case.js";
import { allCases } from "./cases/index.js";
import { type ExpectedFailure, excuse, type StaleEntry } from "./expected-failures.js";
import { ConformanceFailure } from "./failure.js";
import { repeatLines } from "./repeat-lines.js";
import type { Subject } from "./subject.js";
import type { CaseReport, SuiteReport } from "./suite-report.js";
import type { Protocol } from "./wire/answer.js";

/**
 * Version of the cases. It pins their sources: operations.proto of 2025-10-06 and the AIPs of
 * 2026-03-04.
 */
export const suiteVersion = "1";

/** Choice of cases, and the meaning of their outcomes. */
export interface SuiteOptions {
  /** Patterns of case ids with `*`, such as `list.*`. Default: all. */
  readonly cases?: readonly string[] | undefined;
  /** Default: the subject's protocols. */
  readonly protocols?: readonly Protocol[] | undefined;
  /** Levels whose failures fail the run: `must`, or `must` and `should`. Default: must. */
  readonly level?: "must" | "should" | undefined;
  /** Whether failures of level `inferred` fail the run. Default: false. */
  readonly inferred?: boolean | undefined;
  /** Whether a case of level `must` that was not exercised fails the run. Default: false. */
  readonly requireExercised?: boolean | undefined;
  readonly expectedFailures?: readonly ExpectedFailure[] | undefined;
  /** Time for the whole run, in milliseconds. Default: unlimited. */
  readonly totalMs?: number | undefined;
  /** Cases that run at a time, at least 1. Default: 1. */
  readonly jobs?: number | undefined;
  /** Stops the run after the calls in progress. */
  readonly signal?: AbortSignal | undefined;
  /** Called when a case begins. */
  readonly onStart?: ((one: SelectedCase, at: number, of: number) => void) | undefined;
  /** Called when a case ends. */
  readonly onEnd?: ((report: CaseReport) => void) | undefined;
}

export interface SelectedCase {
  readonly definition: ConformanceCase;
  readonly protocol: Protocol;
}

/** Exit codes of a run. */
export const suiteExitCodes = {
  held: 0,
  failed: 1,
  usage: 2,
  totalTime: 5,
  notReached: 6,
  suiteFault: 70,
  interrupted: 130,
} as const;

/** Returns the cases of a run in their order, each with its protocol. */
export function selectCases(
  subject: Subject,
  { cases = [], protocols = subject.protocols }: SuiteOptions = {},
): SelectedCase[] {
  const patterns = cases.map(
    (glob) => new RegExp(`^${glob.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`),
  );
  const spoken = subject.protocols.filter((protocol) => protocols.includes(protocol));
  return allCases
    .filter(({ id }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(id)))
    .flatMap((definition) => {
      const able = spoken.filter((protocol) => definition.protocols.includes(protocol));
      const wanted = definition.each ? able : able.slice(0, 1);
      return wanted.map((protocol) => ({ definition, protocol }));
    });
}

/** Runs the cases and returns the report. Never rejects because of a failure of the subject. */
export async function runSuite(subject: Subject, options: SuiteOptions = {}): Promise<SuiteReport> {
  const startTime = new Date().toISOString();
  const startMs = performance.now();
  const selected = selectCases(subject, options);
  const reports: CaseReport[] = [];
  const { totalMs = Number.POSITIVE_INFINITY, jobs = 1, signal } = options;
  let stopped: SuiteReport["stopped"];
  let at = 0;

  /** Runs the next cases one after the other; cases that run alone only if `alone` is true. */
  const next = async (alone: boolean): Promise<void> => {
    for (;;) {
      const index = at;
      const one = selected[index];
      if (one === undefined || (one.definition.alone && !alone)) return;
      at += 1;
      if (signal?.aborted) stopped = "interrupted";
      else if (performance.now() - startMs > totalMs) stopped ??= "total-time";
      options.onStart?.(one, index, selected.length);
      const report = await runCase(subject, one, stopped);
      reports[index] = report;
      options.onEnd?.(report);
    }
  };
  await Promise.all(Array.from({ length: jobs }, () => next(false)));
  await next(true);

  const known = new Set(allCases.map(({ id }) => id));
  const { cases, stale } = excuse(reports, options.expectedFailures ?? [], known);
  const { description } = subject;
  const verdict = verdictOf(cases, stale, stopped, options);
  return {
    suiteVersion,
    subject: description.subject,
    startTime,
    ms: Math.round(performance.now() - startMs),
    seed: subject.seed,
    budgets: subject.budgets,
    protocols: subject.protocols,
    follows: description.follows ?? [],
    claims: description.claims ?? {},
    methods: description.methods ?? {},
    counts: countsOf(cases),
    cases,
    stale,
    stopped,
    ...verdict,
  };
}

async function runCase(
  subject: Subject,
  { definition, protocol }: SelectedCase,
  stopped: SuiteReport["stopped"],
): Promise<CaseReport> {
  const startMs = performance.now();
  const report = (parts: Partial<CaseReport> & Pick<CaseReport, "outcome">): CaseReport => ({
    id: definition.id,
    level: definition.level,
    title: definition.title,
    sources: definition.sources,
    protocol,
    why: "",
    ms: Math.round(performance.now() - startMs),
    expected: undefined,
    actual: undefined,
    excused: undefined,
    evidence: [],
    output: "",
    repeat: [],
    ...parts,
  });
  if (stopped !== undefined) {
    const why = stopped === "interrupted" ? "the run was interrupted" : "the total time was over";
    return report({ outcome: "not-exercised", why });
  }
  if (subject.description.hasEnded?.() === true) {
    return report({ outcome: "not-exercised", why: "the subject has ended" });
  }
  try {
    const { outcome, why } = await definition.run(subject, protocol);
    return report({ outcome, why: subject.mask.text(why) });
  } catch (error) {
    if (error instanceof ConformanceFailure) {
      return report({
        outcome: "fail",
        expected: subject.mask.text(error.expected),
        actual: subject.mask.text(error.actual),
        evidence: error.calls,
        output: subject.mask.text(subject.description.output?.() ?? ""),
        repeat: repeatLines(error.calls.at(-1)),
      });
    }
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return report({ outcome: "error", why: subject.mask.text(why) });
  }
}

function countsOf(cases: readonly CaseReport[]): SuiteReport["counts"] {
  const counts: Record<CaseLevel, Record<string, number>> = {
    must: {},
    should: {},
    inferred: {},
    may: {},
  };
  for (const { level, outcome, excused } of cases) {
    const key = outcome === "fail" && excused !== undefined ? "expected-fail" : outcome;
    counts[level][key] = (counts[level][key] ?? 0) + 1;
  }
  return counts;
}

/** Outcomes in the order of the summary, with their words. */
const words: readonly (readonly [outcome: string, word: string])[] = [
  ["fail", "failed"],
  ["error", "could not be judged"],
  ["expected-fail", "failed as expected"],
  ["pass", "held"],
  ["not-exercised", "not exercised"],
  ["unimplemented", "unimplemented"],
  ["skipped", "skipped"],
  ["present", "present"],
  ["absent", "absent"],
];

function verdictOf(
  cases: readonly CaseReport[],
  stale: readonly StaleEntry[],
  stopped: SuiteReport["stopped"],
  { level = "must", inferred = false, requireExercised = false }: SuiteOptions,
): Pick<SuiteReport, "summary" | "exitCode"> {
  const decides = (report: CaseReport) =>
    report.level === "must" ||
    (report.level === "should" && level === "should") ||
    (report.level === "inferred" && inferred);
  const failures = cases.filter(
    ({ outcome, excused }) => outcome === "fail" && excused === undefined,
  );
  const hasFailed = failures.some(decides) || stale.length > 0;
  const isIncomplete = cases.some((one) => one.level === "must" && one.outcome === "not-exercised");
  const hasFault = cases.some(({ outcome }) => outcome === "error");
  const parts = words.flatMap(([outcome, word]) => {
    const count = cases.filter((one) =>
      outcome === "expected-fail"
        ? one.outcome === "fail" && one.excused !== undefined
        : one.outcome === outcome && one.excused === undefined,
    ).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  const first = isIncomplete ? "incomplete" : failures.length > 0 || hasFailed ? "failed" : "held";
  const staleText = stale.length === 0 ? "" : `, ${stale.length} stale expected failures`;
  const summary = `${first}: ${parts.join(", ")}${staleText}`;
  const exitCode = hasFault
    ? suiteExitCodes.suiteFault
    : stopped === "interrupted"
      ? suiteExitCodes.interrupted
      : hasFailed || (requireExercised && isIncomplete)
        ? suiteExitCodes.failed
        : stopped === "total-time"
          ? suiteExitCodes.totalTime
          : suiteExitCodes.held;
  return { summary, exitCode };
}
