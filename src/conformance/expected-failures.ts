/** A known failure, which does not fail the run. */
export interface ExpectedFailure {
  /** Id of the case. */
  readonly case: string;
  /** Default: every protocol. */
  readonly protocol?: string | undefined;
  /** Text that the failure's actual behaviour must contain. Default: any failure. */
  readonly got?: string | undefined;
  /** Explanation for readers of the report; not empty. */
  readonly reason: string;
}

/** The parts of a case's report that decide on an excuse. */
export interface Excusable {
  readonly id: string;
  readonly protocol: string;
  readonly outcome: string;
  readonly actual: string | undefined;
}

/** The reports with their excuses, and the entries that excuse nothing. */
export interface ExcusedReports<Report> {
  readonly cases: readonly Report[];
  readonly stale: readonly StaleEntry[];
}

export interface StaleEntry {
  readonly entry: ExpectedFailure;
  readonly why: string;
}

/**
 * Marks expected failures. An entry is stale if its case is unknown, passes, or ends in anything
 * other than a failure; an entry whose case was not selected is not judged.
 */
export function excuse<Report extends Excusable & { readonly excused: string | undefined }>(
  reports: readonly Report[],
  expected: readonly ExpectedFailure[],
  known: ReadonlySet<string>,
): ExcusedReports<Report> {
  const stale: StaleEntry[] = [];
  const used = new Set<ExpectedFailure>();
  const matches = (entry: ExpectedFailure, { id, protocol }: Excusable) =>
    entry.case === id && (entry.protocol === undefined || entry.protocol === protocol);
  const cases = reports.map((report): Report => {
    if (report.outcome !== "fail") return report;
    const entry = expected.find(
      (one) =>
        matches(one, report) && (one.got === undefined || (report.actual ?? "").includes(one.got)),
    );
    if (entry === undefined) return report;
    used.add(entry);
    return { ...report, excused: entry.reason };
  });
  for (const entry of expected) {
    if (used.has(entry)) continue;
    if (!known.has(entry.case)) {
      stale.push({ entry, why: "there is no such case" });
      continue;
    }
    const selected = reports.filter((report) => matches(entry, report));
    if (selected.length === 0) continue;
    const outcomes = [...new Set(selected.map(({ outcome }) => outcome))].join(", ");
    const why =
      outcomes === "fail"
        ? `the failure does not contain "${entry.got}"`
        : `the case ended in ${outcomes}`;
    stale.push({ entry, why });
  }
  return { cases, stale };
}
