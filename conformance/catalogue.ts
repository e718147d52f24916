import { allCases } from "../src/conformance/cases/index.js";
import { suiteVersion } from "../src/conformance/run-suite.js";
import { protocols } from "../src/conformance/wire/answer.js";

/** Words for the letters of needs. */
const needWords: Readonly<Record<string, string>> = {
  s: "succeeds",
  f: "fails",
  u: "runsUntilCancelled",
  i: "ignoresCancel",
  p: "reportsProgress",
  t: "takes",
  d: "succeeds or fails",
  r: "runsUntilCancelled, ignoresCancel or takes",
};

/** Returns the catalogue of all cases in Markdown. */
export function catalogue(): string {
  const groups = [...new Set(allCases.map(({ id }) => id.split(".")[0] ?? ""))].sort();
  const sections = groups.flatMap((group) => {
    const rows = allCases
      .filter(({ id }) => id.startsWith(`${group}.`))
      .map((one) => {
        const needs = one.needs.map((need) => needWords[need] ?? need);
        const conditions = [
          ...needs,
          ...one.claims,
          ...(one.follows === undefined ? [] : [`follows AIP-${one.follows}`]),
        ];
        const where =
          one.protocols.length === protocols.length
            ? one.each
              ? "each"
              : "first"
            : one.protocols.join(", ");
        return `| ${one.id} | ${one.level} | ${escaped(one.title)} | ${conditions.join("; ")} | ${where} | ${escaped(one.sources.join("; "))} |`;
      });
    return [
      `## ${group}`,
      "",
      "| Case | Level | Statement | Conditions | Protocols | Sources |",
      "|---|---|---|---|---|---|",
      ...rows,
      "",
    ];
  });
  return [
    "# Cases",
    "",
    `The ${allCases.length} cases of suite version ${suiteVersion}. \`npm run conformance:generate\` makes this page from the cases.`,
    "",
    "- *Conditions*: needs and claims of the [subject file](subject-file.md). A case whose need is missing is not exercised. A case whose claim is missing is skipped.",
    "- *Protocols*: `each` runs on every protocol of the subject, `first` on the first one.",
    "- *Sources*: `operations.proto` means the comment of the named element. Numbers of AIPs are those of google.aip.dev.",
    "",
    ...sections,
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "\\<");
}
