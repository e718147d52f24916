import type { CaseClaim, CaseInit, CaseResult, ConformanceCase, NeedLetter } from "./case.js";
import { CaseRun } from "./case-run.js";
import {
  Absent,
  ConformanceFailure,
  NotExercised,
  Skipped,
  Unimplemented,
  Unsteady,
} from "./failure.js";
import { needOf, type StartKind } from "./starts.js";
import type { Subject } from "./subject.js";
import { type Protocol, protocols } from "./wire/answer.js";

/** Most runs of a case whose upper bound was missed while the runner was slow. */
const maxRuns = 3;

/** Returns the case with the checks that all cases share. */
export function defineCase(init: CaseInit): ConformanceCase {
  const { needs = [], claims = [], each = false, alone = false } = init;
  const definition = {
    id: init.id,
    level: init.level,
    title: init.title,
    sources: init.sources,
    needs,
    claims,
    each,
    alone,
    follows: init.follows,
    protocols: init.protocols ?? protocols,
  };
  return {
    ...definition,
    async run(subject, wanted) {
      const protocol =
        wanted ?? subject.protocols.find((one) => definition.protocols.includes(one));
      const skipped = skipReason(definition, subject, protocol);
      if (skipped !== undefined) return { outcome: "skipped", why: skipped, calls: [] };
      if (protocol === undefined) return { outcome: "skipped", why: "no protocol", calls: [] };
      const missing = missingNeed(definition, subject);
      if (missing !== undefined) return { outcome: "not-exercised", why: missing, calls: [] };
      for (let runs = 1; ; runs += 1) {
        const result = await runOnce(subject, protocol, init, runs === maxRuns);
        if (result !== undefined) return result;
      }
    },
  };
}

/** Runs the case. Returns undefined if the case must be repeated. */
async function runOnce(
  subject: Subject,
  protocol: Protocol,
  { id, level, body }: CaseInit,
  isLast: boolean,
): Promise<CaseResult | undefined> {
  const limit = new AbortController();
  const run = new CaseRun(subject, protocol, id, limit.signal);
  const { calls } = run;
  const { caseMs } = subject.budgets;
  const timer = setTimeout(() => limit.abort(), caseMs);
  try {
    await body(run);
    return { outcome: level === "may" ? "present" : "pass", why: "", calls };
  } catch (error) {
    if (limit.signal.aborted) {
      return { outcome: "not-exercised", why: `the case exceeds its time of ${caseMs} ms`, calls };
    }
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof NotExercised) return { outcome: "not-exercised", why, calls };
    if (error instanceof Unimplemented) return { outcome: "unimplemented", why, calls };
    if (error instanceof Skipped) return { outcome: "skipped", why, calls };
    if (error instanceof Absent) return { outcome: "absent", why, calls };
    if (error instanceof Unsteady) {
      return isLast ? { outcome: "not-exercised", why, calls } : undefined;
    }
    if (error instanceof ConformanceFailure) {
      if (subject.description.hasEnded?.() === true) {
        throw new ConformanceFailure(
          error.expected,
          `${error.actual}; the subject has ended`,
          calls,
        );
      }
      subject.failed.add(`${id} ${protocol}`);
    }
    throw error;
  } finally {
    clearTimeout(timer);
    await run.cleanUp();
  }
}

type Definition = Pick<ConformanceCase, "needs" | "claims" | "follows" | "protocols">;

/** Returns why a case does not apply to a subject, undefined if it applies. */
export function skipReason(
  { claims, follows, protocols: able, needs }: Definition,
  { description, protocols: spoken }: Subject,
  protocol: Protocol | undefined,
): string | undefined {
  if (protocol === undefined || !able.includes(protocol)) {
    return `the case is for ${able.join(", ")}`;
  }
  if (!spoken.includes(protocol)) return `the subject does not speak ${protocol}`;
  if (follows !== undefined && !(description.follows ?? []).includes(follows)) {
    return `the subject does not declare that it follows AIP-${follows}`;
  }
  for (const claim of claims) {
    if (!isClaimed(claim, description)) return `the subject does not declare: ${claim}`;
  }
  const { needs: declared = {}, driver = false } = description;
  for (const need of ["refused", "parallel", "validateOnly", "requestId"] as const) {
    if (
      needs.includes(need) &&
      (declared[need] === false || (declared[need] === undefined && !driver))
    ) {
      return `the subject does not declare the need "${need}"`;
    }
  }
  return undefined;
}

function isClaimed(claim: CaseClaim, description: Subject["description"]): boolean {
  const { claims = {}, identities, parents = [], needs = {}, driver = false } = description;
  const { fails } = needs;
  const error = typeof fails === "object" ? fails.error : undefined;
  const usesDriver = fails === undefined ? driver : typeof fails === "object" && "driver" in fails;
  switch (claim) {
    case "durable":
      return claims.durable === true;
    case "partialSuccess":
      return claims.partialSuccess !== undefined;
    case "wildcard":
      return claims.wildcard !== undefined && parents.length > 1;
    case "filters":
      return claims.filters !== undefined;
    case "no filters":
      return claims.filters === undefined;
    case "xgafv":
      return claims.xgafv === true;
    case "identities":
      return identities !== undefined;
    case "scope parent":
      return identities?.scope === "parent";
    case "anonymous refused":
      return identities?.anonymous === "refused";
    case "two parents":
      return parents.length > 1;
    case "details":
      return usesDriver || error?.details !== undefined;
    case "opaque":
      return usesDriver || error?.opaque === true;
  }
}

const kindsByLetter: Readonly<Partial<Record<NeedLetter, readonly StartKind[]>>> = {
  s: ["succeeds"],
  f: ["fails"],
  u: ["runsUntilCancelled"],
  i: ["ignoresCancel"],
  p: ["reportsProgress"],
  t: ["takes"],
  d: ["succeeds", "fails"],
  r: ["runsUntilCancelled", "ignoresCancel", "takes"],
};

/** Returns the subject's first gap for a case, undefined without a gap. */
function missingNeed({ needs }: Definition, subject: Subject): string | undefined {
  const { description } = subject;
  for (const letter of needs) {
    const kinds = kindsByLetter[letter];
    if (kinds?.every((kind) => needOf(subject, kind) === undefined)) {
      return `declare the need ${kinds.map((kind) => `"${kind}"`).join(" or ")} in the subject file`;
    }
    if (letter === "probe" && description.probe === undefined && description.driver !== true) {
      return 'declare "probe", or serve the driver, so that the state of work is known';
    }
  }
  return undefined;
}
