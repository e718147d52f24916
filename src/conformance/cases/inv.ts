import type { ConformanceCase } from "../case.js";
import type { CaseRun } from "../case-run.js";
import { defineCase } from "../define-case.js";
import { ConformanceFailure, NotExercised } from "../failure.js";
import type { Invariant } from "../ledger.js";
import { needOf } from "../starts.js";

/** Judges an invariant over all answers of the run so far. */
function watch(invariant: Invariant, hint: string) {
  return async (run: CaseRun): Promise<void> => {
    const { ledger } = run.subject;
    if (!ledger.isExercised(invariant, run.protocol)) await exercise(run);
    const violation = ledger.violation(invariant, run.protocol);
    if (violation !== undefined) {
      throw new ConformanceFailure(violation.expected, violation.actual, violation.calls);
    }
    if (!ledger.isExercised(invariant, run.protocol)) run.notExercised(hint);
  };
}

/** Reads a few operations, for runs that select the invariants alone. */
async function exercise(run: CaseRun): Promise<void> {
  for (const kind of ["succeeds", "fails", "takes"] as const) {
    if (needOf(run.subject, kind) === undefined) continue;
    try {
      const { name } = await run.done(kind);
      await run.get(name);
      await run.sleep(run.budgets.slackMs / 2);
      await run.get(name);
    } catch (error) {
      if (!(error instanceof NotExercised)) throw error;
    }
  }
}

export const invCases: readonly ConformanceCase[] = [
  defineCase({
    id: "inv.result",
    alone: true,
    level: "must",
    title: "an operation has no result while it runs, and never both error and response",
    sources: ["operations.proto Operation.result"],
    each: true,
    body: watch("inv.result", "no answer contained an operation; declare a need"),
  }),
  defineCase({
    id: "inv.code",
    alone: true,
    level: "must",
    title: "the code of a failed operation is from 1 to 16",
    sources: ["AIP-193 Status.code", "code.proto OK"],
    each: true,
    body: watch("inv.code", 'no answer contained a failed operation; declare the need "fails"'),
  }),
  defineCase({
    id: "inv.any",
    alone: true,
    level: "must",
    title: "each type_url has a slash, then the full name of a message",
    sources: ["any.proto type_url"],
    each: true,
    body: watch("inv.any", "no answer contained a google.protobuf.Any"),
  }),
  defineCase({
    id: "inv.final",
    alone: true,
    level: "must",
    title: "an operation that was done remains done with the same result",
    sources: ["operations.proto Operation.done, GetOperation, WaitOperation"],
    each: true,
    body: watch("inv.final", "no finished operation was read again; declare a need"),
  }),
  defineCase({
    id: "inv.name",
    alone: true,
    level: "must",
    title: "GetOperation and WaitOperation answer with the requested name",
    sources: ["operations.proto Operation.name", "AIP-122 name field"],
    each: true,
    body: watch("inv.name", "no operation was read; declare a need"),
  }),
];
