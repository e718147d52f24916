import type { CaseLevel, CaseOutcome } from "./case.js";
import type { Budgets, Claims, MethodName } from "./description.js";
import type { CallEvidence } from "./evidence.js";
import type { StaleEntry } from "./expected-failures.js";
import type { Protocol } from "./wire/answer.js";

/** Outcome of one case over one protocol. */
export interface CaseReport {
  readonly id: string;
  readonly level: CaseLevel;
  readonly title: string;
  readonly sources: readonly string[];
  readonly protocol: Protocol;
  readonly outcome: CaseOutcome | "fail" | "error";
  /** Reason, for every outcome other than pass, present and fail. */
  readonly why: string;
  readonly ms: number;
  /** Statement that a failed case found broken. */
  readonly expected: string | undefined;
  readonly actual: string | undefined;
  /** Reason of the expected failure that excuses it; undefined without one. */
  readonly excused: string | undefined;
  /** Calls of a failed case, in order. */
  readonly evidence: readonly CallEvidence[];
  /** Last output of the subject's process when a case failed. Empty without one. */
  readonly output: string;
  /** Commands that repeat the last call of a failed case. */
  readonly repeat: readonly string[];
}

/** Numbers of cases by outcome. */
export type OutcomeCounts = Readonly<Record<string, number>>;

export interface SuiteReport {
  readonly suiteVersion: string;
  readonly subject: string;
  /** Time of the start, RFC 3339. */
  readonly startTime: string;
  readonly ms: number;
  readonly seed: number;
  readonly budgets: Budgets;
  readonly protocols: readonly Protocol[];
  readonly follows: readonly number[];
  readonly claims: Claims;
  readonly methods: Readonly<Partial<Record<MethodName, boolean>>>;
  /** Outcomes by level. */
  readonly counts: Readonly<Record<CaseLevel, OutcomeCounts>>;
  readonly cases: readonly CaseReport[];
  readonly stale: readonly StaleEntry[];
  /** Whether the run was stopped by its total time or by the signal. */
  readonly stopped: "total-time" | "interrupted" | undefined;
  /** One line; its first word is `incomplete` if a case of level must was not exercised. */
  readonly summary: string;
  readonly exitCode: number;
}
