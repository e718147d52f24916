/**
 * Runs the suite against `longrunning serve` on memory, SQLite and PostgreSQL, over all protocols,
 * and writes `docs/conformance/results/connect-longrunning.md`.
 *
 *     npm run conformance:own
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { readSubjectFile } from "../src/cli/conformance/subject-file.js";
import { startSubject } from "../src/cli/conformance/subject-process.js";
import {
  fillTemplate,
  markdownReport,
  openSubject,
  runSuite,
  type SubjectOptions,
  type SuiteReport,
} from "../src/conformance/index.js";
import { startPostgres } from "../test/support/postgres/start-postgres.js";

const seed = Number(process.env.SEED ?? 1);
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const subjectPath = at("references/connect-longrunning/subject.json");
const resultPath = at("../docs/conformance/results/connect-longrunning.md");

/** Runs all cases against one store. */
async function runOn(store: string, args: readonly string[]): Promise<SuiteReport> {
  const { options, process: own } = await readSubjectFile(subjectPath);
  if (own === undefined) throw new Error(`${subjectPath} has no command`);
  const isDurable = args.length > 0;
  const server = await startSubject({
    ...own,
    command: [...own.command, ...args],
    restart: isDurable ? "SIGKILL" : undefined,
  });
  const filled = fillTemplate(options.protocols as unknown as JsonValue, { port: server.port });
  const subject = await openSubject({
    ...options,
    subject: `connect-longrunning on ${store}`,
    // Only texts within it have changed.
    protocols: filled as unknown as SubjectOptions["protocols"],
    claims: { ...options.claims, durable: isDurable },
    restart: isDurable ? () => server.restart() : undefined,
    hasEnded: () => server.hasEnded(),
    output: () => server.output(),
    seed,
  });
  try {
    const report = await runSuite(subject, {
      level: "should",
      jobs: 4,
      onEnd: ({ id, protocol, outcome, actual }) => {
        if (outcome === "fail" || outcome === "error")
          console.log(`${store}: ${id} ${protocol}: ${actual}`);
      },
    });
    console.log(`${store}: ${report.summary} (${Math.round(report.ms / 1000)} s)`);
    return report;
  } finally {
    await subject.close();
    await server.stop();
  }
}

const folder = await mkdtemp(join(tmpdir(), "conformance-"));
const keyFile = join(folder, "page-token-key");
await writeFile(keyFile, randomBytes(32).toString("base64"));
const postgres = await startPostgres(false);
try {
  const reports = [
    await runOn("memory", []),
    await runOn("SQLite", ["--data", join(folder, "operations.db")]),
    await runOn("PostgreSQL", ["--database-url", postgres.url, "--page-token-key-file", keyFile]),
  ];
  const sections = reports.map((report) => markdownReport(report).replace(/^#/gm, "##"));
  const head = [
    "# Results of connect-longrunning",
    "",
    "Made by `npm run conformance:own`, which starts `longrunning serve --conformance-driver` of this checkout",
    "by the subject file in `conformance/references/connect-longrunning/`. Another caller's operation is NOT_FOUND, which the subject declares.",
    "",
  ];
  await writeFile(resultPath, [...head, ...sections].join("\n"));
  if (reports.some(({ exitCode }) => exitCode !== 0)) process.exitCode = 1;
} finally {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}
