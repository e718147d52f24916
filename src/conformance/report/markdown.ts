import type { CaseReport, SuiteReport } from "../suite-report.js";

const marks: Readonly<Record<string, string>> = {
  pass: "pass",
  fail: "**FAIL**",
  error: "**ERROR**",
  unimplemented: "unimplemented",
  "not-exercised": "not exercised",
  skipped: "–",
  present: "present",
  absent: "absent",
};

/** Returns a report in Markdown: the claim, the failures, and a table of cases by protocols. */
export function markdownReport(report: SuiteReport): string {
  const { subject, suiteVersion, seed, protocols, cases } = report;
  const failures = cases.filter(({ outcome }) => outcome === "fail" || outcome === "error");
  const ids = [...new Set(cases.map(({ id }) => id))];
  const held = new Set(cases.filter(({ outcome }) => outcome === "pass").map(({ id }) => id)).size;
  const rows = ids.map((id) => {
    const ofCase = cases.filter((one) => one.id === id);
    const cells = protocols.map((protocol) => {
      const one = ofCase.find((report) => report.protocol === protocol);
      return one === undefined ? "" : markOf(one);
    });
    return `| ${id} | ${ofCase[0]?.level ?? ""} | ${cells.join(" | ")} |`;
  });
  return [
    `# Conformance of ${escaped(subject)}`,
    "",
    `**${escaped(report.summary)}**`,
    "",
    `Suite version ${suiteVersion}, seed ${seed}, ${report.startTime.slice(0, 10)}. ${held} cases were exercised ` +
      `over ${protocols.join(", ")} and held. The report says nothing about other cases.`,
    "",
    ...declarations(report),
    ...(failures.length === 0 ? [] : ["## Failures", "", ...failures.flatMap(failureLines)]),
    ...staleLines(report),
    "## Cases",
    "",
    "An empty cell: the case runs on another protocol, which shows the same.",
    "",
    `| Case | Level | ${protocols.join(" | ")} |`,
    `|---|---|${protocols.map(() => "---|").join("")}`,
    ...rows,
    "",
    ...reasons(cases),
  ].join("\n");
}

function markOf({ outcome, excused }: CaseReport): string {
  return excused === undefined ? (marks[outcome] ?? outcome) : "expected failure";
}

function declarations({ follows, claims, methods }: SuiteReport): string[] {
  const absent = Object.entries(methods).filter(([, has]) => !has);
  const lines = [
    ...(follows.length === 0
      ? []
      : [`- Follows: ${follows.map((aip) => `AIP-${aip}`).join(", ")}`]),
    ...(Object.keys(claims).length === 0 ? [] : [`- Claims: \`${JSON.stringify(claims)}\``]),
    ...(absent.length === 0
      ? []
      : [`- Methods declared absent: ${absent.map(([name]) => name).join(", ")}`]),
  ];
  return lines.length === 0 ? [] : [...lines, ""];
}

function failureLines(one: CaseReport): string[] {
  const lines = [
    `### ${one.id} over ${one.protocol} (${one.level})`,
    "",
    `- Statement: ${escaped(one.title)}`,
    `- Source: ${escaped(one.sources.join("; "))}`,
  ];
  if (one.outcome === "error")
    return [...lines, `- The suite could not judge it: ${escaped(one.why)}`, ""];
  return [
    ...lines,
    `- Expected: ${escaped(one.expected ?? "")}`,
    `- Actual: ${escaped(one.actual ?? "")}`,
    ...(one.excused === undefined ? [] : [`- Known: ${escaped(one.excused)}`]),
    ...one.repeat.map((line) => `- Repeat: \`${line.replaceAll("`", "'")}\``),
    "",
  ];
}

function staleLines({ stale }: SuiteReport): string[] {
  if (stale.length === 0) return [];
  const lines = stale.map(({ entry, why }) => `- ${entry.case}: ${escaped(why)}`);
  return ["## Stale expected failures", "", ...lines, ""];
}

/** Why cases were not exercised, unimplemented or skipped, each reason once. */
function reasons(cases: readonly CaseReport[]): string[] {
  const byReason = new Map<string, Set<string>>();
  for (const { id, outcome, why } of cases) {
    if (why === "" || outcome === "error") continue;
    const key = `${marks[outcome] === "–" ? "skipped" : marks[outcome]}: ${why}`;
    byReason.set(key, (byReason.get(key) ?? new Set()).add(id));
  }
  if (byReason.size === 0) return [];
  const lines = [...byReason].map(([why, ids]) => `- ${escaped(why)} (${[...ids].join(", ")})`);
  return ["## Reasons", "", ...lines, ""];
}

/** Text that Markdown shows as it is. */
function escaped(text: string): string {
  return text.replace(/\s+/g, " ").replace(/([\\`*_<>|[\]])/g, "\\$1");
}
