import type { CaseRun } from "./case-run.js";
import type { CallEvidence } from "./evidence.js";
import type { Subject } from "./subject.js";
import type { Protocol } from "./wire/answer.js";

/**
 * How binding a case's source is. `must`: its word, or a plain statement. `should`: its word.
 * `inferred`: follows from several texts. `may`: reports whether a permitted feature is present.
 */
export type CaseLevel = "must" | "should" | "inferred" | "may";

/** Result of a case that did not fail. */
export type CaseOutcome =
  | "pass"
  | "present"
  | "absent"
  | "unimplemented"
  | "not-exercised"
  | "skipped";

export interface CaseResult {
  readonly outcome: CaseOutcome;
  /** Reason, for every outcome except `pass`; empty otherwise. */
  readonly why: string;
  readonly calls: readonly CallEvidence[];
}

/** Kinds of operations: the letters of the specification. */
export type NeedLetter =
  /** An operation that succeeds. */
  | "s"
  /** An operation that fails. */
  | "f"
  /** An operation that runs until CancelOperation. */
  | "u"
  /** An operation that ignores CancelOperation. */
  | "i"
  /** An operation that reports progress. */
  | "p"
  /** An operation that ends after a given time. */
  | "t"
  /** Any done operation. */
  | "d"
  /** Any running operation. */
  | "r"
  | "refused"
  | "parallel"
  | "validateOnly"
  | "requestId"
  | "probe"
  | "descriptors";

/** Declarations of a subject file that a case depends on. */
export type CaseClaim =
  | "durable"
  | "partialSuccess"
  | "wildcard"
  | "filters"
  | "no filters"
  | "xgafv"
  | "identities"
  | "scope parent"
  | "anonymous refused"
  | "two parents"
  | "details"
  | "opaque";

/** One statement about a server, with its level, its sources and its conditions. */
export interface ConformanceCase {
  /** Stable, such as `list.size`. */
  readonly id: string;
  readonly level: CaseLevel;
  /** A sentence about the server. */
  readonly title: string;
  /** Published texts that demand it. */
  readonly sources: readonly string[];
  readonly needs: readonly NeedLetter[];
  readonly claims: readonly CaseClaim[];
  /** AIP that the subject must follow. Undefined: none beyond AIP-132, 135, 151 and 158. */
  readonly follows: number | undefined;
  /** Protocols that can show it. */
  readonly protocols: readonly Protocol[];
  /** Whether it runs on each protocol. Otherwise it runs on the first one. */
  readonly each: boolean;
  /** Whether no other case may run at the same time. */
  readonly alone: boolean;
  /**
   * Runs the case once.
   *
   * @throws ConformanceFailure if the server breaks the statement.
   */
  run(subject: Subject, protocol?: Protocol): Promise<CaseResult>;
}

/** A case as a case file defines it. */
export interface CaseInit extends Pick<ConformanceCase, "id" | "level" | "title" | "sources"> {
  readonly needs?: readonly NeedLetter[];
  readonly claims?: readonly CaseClaim[];
  readonly follows?: number;
  readonly protocols?: readonly Protocol[];
  /** Marked × in the specification. Default: false. */
  readonly each?: boolean;
  /** Default: false. */
  readonly alone?: boolean;
  /** Judges the server by `run`'s methods. Resolves for pass. */
  readonly body: (run: CaseRun) => Promise<void>;
}
