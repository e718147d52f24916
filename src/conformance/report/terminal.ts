import type { CaseReport, SuiteReport } from "../suite-report.js";

/** Options of the text for a terminal. */
export interface TerminalReportOptions {
  /** Command that repeats the run, without options, such as `longrunning conformance FILE`. */
  readonly command: string;
  /** Colours a text. Default: leaves it as it is. */
  readonly style?:
    | ((style: "bold" | "dim" | "red" | "green" | "yellow", text: string) => string)
    | undefined;
  /** Makes text of a server safe for a terminal. Default: leaves it as it is. */
  readonly printable?: ((text: string) => string) | undefined;
}

/** Most lines of the subject's output for a failure. */
const maxOutputLines = 5;

/** Most reasons that are listed. */
const maxReasons = 20;

/** Returns a report for a person: the summary in the first and the last line, the failures between. */
export function terminalReport(
  report: SuiteReport,
  { command, style = (_, text) => text, printable = (text) => text }: TerminalReportOptions,
): string {
  const color =
    report.exitCode === 0 ? (report.summary.startsWith("held") ? "green" : "yellow") : "red";
  const lines: string[] = [style(color, report.summary), ""];
  const failures = report.cases.filter(({ outcome }) => outcome === "fail" || outcome === "error");
  for (const one of failures) {
    const isExcused = one.excused !== undefined;
    const word = one.outcome === "error" ? "ERROR" : isExcused ? "KNOWN" : "FAIL";
    const color = isExcused ? "yellow" : "red";
    lines.push(
      `${style(color, word)}  ${style("bold", one.id)}  ${one.protocol}  ${one.level}  ${one.title}`,
    );
    if (one.outcome === "error") {
      lines.push(`  the suite could not judge it: ${printable(one.why)}`);
    } else {
      lines.push(`  expected  ${printable(one.expected ?? "")}`);
      lines.push(`  actual    ${printable(one.actual ?? "")}`);
    }
    if (one.excused !== undefined) lines.push(`  known     ${printable(one.excused)}`);
    lines.push(style("dim", `  source    ${one.sources.join("; ")}`));
    if (!isExcused) {
      const options = `--case ${one.id} --protocol ${one.protocol} --seed ${report.seed}`;
      for (const line of [`${command} ${options}`, ...one.repeat]) {
        lines.push(`  repeat    ${printable(line)}`);
      }
    }
    if (one.output !== "" && !isExcused) {
      const last = one.output.trimEnd().split("\n").slice(-maxOutputLines);
      lines.push("  output", ...last.map((line) => style("dim", `    ${printable(line)}`)));
    }
    lines.push("");
  }
  for (const { entry, why } of report.stale) {
    lines.push(`${style("red", "STALE")}  ${entry.case}  expected to fail, but ${why}`, "");
  }
  lines.push(...reasonLines(report.cases, style, printable));
  const seconds = (report.ms / 1000).toFixed(1);
  const { subject, suiteVersion, seed, protocols } = report;
  lines.push(
    style(
      "dim",
      `${printable(subject)} over ${protocols.join(", ")}, suite version ${suiteVersion}, seed ${seed}, ${seconds} s`,
    ),
    style(color, report.summary),
  );
  return `${lines.join("\n")}\n`;
}

function reasonLines(
  cases: readonly CaseReport[],
  style: NonNullable<TerminalReportOptions["style"]>,
  printable: (text: string) => string,
): string[] {
  const byReason = new Map<string, Set<string>>();
  for (const { id, outcome, why } of cases) {
    if (outcome !== "not-exercised") continue;
    byReason.set(why, (byReason.get(why) ?? new Set()).add(id));
  }
  if (byReason.size === 0) return [];
  const entries = [...byReason].sort(([, one], [, other]) => other.size - one.size);
  const shown = entries
    .slice(0, maxReasons)
    .flatMap(([why, ids]) => [`  ${printable(why)}`, style("dim", `    ${[...ids].join(", ")}`)]);
  const rest = entries.length - maxReasons;
  return [
    style("yellow", "Not exercised:"),
    ...shown,
    ...(rest > 0 ? [`  and ${rest} more reasons, in the other reports`] : []),
    "",
  ];
}
