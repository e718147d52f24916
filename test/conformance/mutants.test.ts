import { describe, expect, it } from "vitest";
import { allCases } from "../../src/conformance/cases/index.js";
import { runSuite } from "../../src/conformance/run-suite.js";
import { type Mutant, mutants } from "./support/mutants.js";
import { openTestSubject } from "./support/test-subject.js";

/** Outcomes of the cases that name a mutant, each the worst of its protocols. */
async function outcomesOf({ number, cases, description }: Mutant): Promise<Record<string, string>> {
  const { subject, close } = await openTestSubject({ mutant: number, unitMs: 200 }, description);
  try {
    const report = await runSuite(subject, { cases });
    const outcomes: Record<string, string> = {};
    for (const one of report.cases) {
      if (outcomes[one.id] === "fail") continue;
      outcomes[one.id] = one.outcome;
    }
    return outcomes;
  } finally {
    await close();
  }
}

describe.concurrent("the suite", () => {
  it.each(mutants)(
    "finds mutant $number: $title",
    async (mutant) => {
      const { cases, outcome = "fail" } = mutant;
      const expected = Object.fromEntries(cases.map((id) => [id, outcome]));
      expect(await outcomesOf(mutant)).toEqual(expected);
    },
    60_000,
  );

  it("has a mutant for each case", () => {
    const named = new Set(mutants.flatMap(({ cases }) => cases));
    expect(allCases.map(({ id }) => id).filter((id) => !named.has(id))).toEqual([]);
  });
});
