import type { CallEvidence } from "./evidence.js";

/** A server breaks a case's statement. */
export class ConformanceFailure extends Error {
  override readonly name = "ConformanceFailure";

  /**
   * @param expected The statement with its values.
   * @param actual The server's behaviour.
   * @param calls The case's calls, in order.
   */
  constructor(
    readonly expected: string,
    readonly actual: string,
    readonly calls: readonly CallEvidence[],
  ) {
    super(`expected: ${expected}; actual: ${actual}`);
  }
}

/** Ends a case whose need, time or guess is missing. */
export class NotExercised extends Error {}

/** Ends a case whose method the server does not have. */
export class Unimplemented extends Error {}

/** Ends a case of level `may` that did not find the feature. */
export class Absent extends Error {}

/** Ends a case whose upper bound was missed while the runner itself was slow. */
export class Unsteady extends Error {}

/** Ends a case that does not apply to the subject. */
export class Skipped extends Error {}
