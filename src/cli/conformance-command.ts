import { writeFile } from "node:fs/promises";
import { relative } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { Command, Option } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "commander";
import {
  allCases,
  type CaseReport,
  fillTemplate,
  jsonReport,
  junitReport,
  markdownReport,
  openSubject,
  protocols,
  runSuite,
  type Subject,
  type SubjectOptions,
  type SuiteReport,
  subjectSchemaUrl,
  terminalReport,
  unreachedProtocols,
} from "../conformance/index.js";
import { printable } from "../display/printable.js";
import { styled } from "../display/style.js";
import type { CommandContext } from "./command-context.js";
import { readSubjectFile, type SubjectFile } from "./conformance/subject-file.js";
import { probeBy, type SubjectProcess, startSubject } from "./conformance/subject-process.js";
import { subjectTemplate } from "./conformance/subject-template.js";
import { parseDuration } from "./duration.js";
import { contradictorySubject, noSuchCase, subjectNotReached, unwritableFile } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { createTlsFetch } from "./tls-fetch.js";

const defaultFile = "conformance.json";
const defaultAddress = "http://127.0.0.1:50051";

/** A report and the file that it goes to; undefined: standard output. */
interface ReportTarget {
  readonly format: "terminal" | "json" | "junit" | "markdown";
  readonly file: string | undefined;
}

/** `longrunning conformance`: checks any server of google.longrunning.Operations. */
export function conformanceCommand(context: CommandContext, exit: (code: number) => void) {
  return new Command("conformance")
    .summary("check any server of google.longrunning.Operations")
    .description(
      "Check a running server, in any language, by the published texts of google.longrunning.Operations. " +
        "The subject file says how to reach it, and how to start operations. A case that the server " +
        "cannot show is reported as not exercised, and fails nothing.",
    )
    .argument("[subject]", "the subject file", defaultFile)
    .option(
      "--init [address]",
      `write a subject file for a gRPC address (default: ${defaultAddress})`,
    )
    .option("--list", "list the cases, and call no server")
    .addOption(
      new Option("--case <pattern>", "run these cases only, as list.*; repeatable")
        .argParser((text: string, earlier: readonly string[]) => [...earlier, text])
        .default([] as readonly string[]),
    )
    .addOption(
      new Option("--protocol <protocol>", "use this protocol only; repeatable")
        .choices(protocols)
        .argParser((text: string, earlier: readonly string[]) => [...earlier, parseProtocol(text)])
        .default([] as readonly string[]),
    )
    .addOption(
      new Option("--level <level>", "failures up to this level end with exit code 1")
        .choices(["must", "should"] as const)
        .default("must" as const),
    )
    .option("--inferred", "failures of inferred cases end with exit code 1, too")
    .option(
      "--require-exercised",
      "a case of level must that is not exercised ends with exit code 1",
    )
    .option(
      "--report <formats>",
      "terminal, json=FILE, junit=FILE, markdown=FILE, with commas between them",
      parseReports,
      [{ format: "terminal", file: undefined }] as readonly ReportTarget[],
    )
    .option("--seed <number>", "seed of everything random (default: a random one)", parseWhole)
    .option("--slow <factor>", "multiply all limits of time", parseFactor, 1)
    .option("--jobs <number>", "run this many cases at a time", parseWhole, 1)
    .addOption(
      new Option("--total <duration>", "stop after this time, as 10m").argParser(parseDuration),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  longrunning conformance --init http://localhost:50051\n" +
        "  longrunning conformance conformance.json --report terminal,junit=report.xml\n",
    )
    .action(async (path, options) => {
      const { out } = context.terminal;
      if (options.init !== undefined) {
        const address = typeof options.init === "string" ? options.init : defaultAddress;
        await writeNew(path, subjectTemplate(address, subjectSchemaUrl));
        out.write(
          `wrote ${printable(path)}: run it with \`longrunning conformance ${printable(path)}\`\n`,
        );
        exit(exitCodes.success);
        return;
      }
      if (options.list) {
        out.write(caseList());
        exit(exitCodes.success);
        return;
      }
      const unknown = options.case.find(
        (pattern) => !allCases.some(({ id }) => matches(id, pattern)),
      );
      if (unknown !== undefined) throw noSuchCase(unknown);
      const file = await readSubjectFile(path);
      const stopped = new AbortController();
      const off = context.onSignal(() => stopped.abort());
      let started: SubjectProcess | undefined;
      const tls = file.trust && createTlsFetch(file.trust);
      try {
        started = file.process === undefined ? undefined : await startSubject(file.process);
        const subject = await open(file, started, { ...options, fetch: tls?.fetch });
        try {
          const faults = await unreachedProtocols(subject);
          if (faults.size === subject.protocols.length) {
            throw subjectNotReached(path, [...faults.values()][0] ?? "", started?.output() ?? "");
          }
          const progress = progressLine(context);
          const report = await runSuite(subject, {
            cases: options.case,
            ...(options.protocol.length > 0 && {
              protocols: protocols.filter((one) => options.protocol.includes(one)),
            }),
            level: options.level,
            inferred: options.inferred === true,
            requireExercised: options.requireExercised === true,
            expectedFailures: file.expectedFailures,
            totalMs: options.total,
            jobs: options.jobs,
            signal: stopped.signal,
            onStart: ({ definition, protocol }, at, of) =>
              progress.show(`[${at + 1}/${of}] ${definition.id} ${protocol}`),
            onEnd: (one) => progress.failed(one),
          });
          progress.clear();
          await writeReports(context, report, options.report, path);
          exit(report.exitCode);
        } finally {
          await subject.close();
        }
      } finally {
        off();
        tls?.close();
        await started?.stop();
      }
    });
}

/** Opens the subject, with the process's port in its addresses. */
async function open(
  { options, process, trust, probe, folder }: SubjectFile,
  started: SubjectProcess | undefined,
  {
    seed,
    slow,
    fetch,
  }: {
    readonly seed?: number | undefined;
    readonly slow: number;
    readonly fetch: SubjectOptions["fetch"];
  },
): Promise<Subject> {
  const port = started?.port ?? "";
  const filled = fillTemplate(options.protocols as unknown as JsonValue, { port });
  const canRestart = process?.restart !== undefined && started !== undefined;
  try {
    return await openSubject({
      ...options,
      // Filling in the values changed only strings, so the type still holds.
      protocols: filled as unknown as SubjectOptions["protocols"],
      seed,
      slow,
      fetch,
      tls: trust,
      probe: probe === undefined ? undefined : probeBy(probe, folder),
      restart: canRestart ? () => started.restart() : undefined,
      hasEnded: started === undefined ? undefined : () => started.hasEnded(),
      output: started === undefined ? undefined : () => started.output(),
    });
  } catch (cause) {
    if (cause instanceof RangeError) throw contradictorySubject(cause.message);
    throw cause;
  }
}

async function writeReports(
  { terminal: { out } }: CommandContext,
  report: SuiteReport,
  targets: readonly ReportTarget[],
  path: string,
): Promise<void> {
  for (const { format, file } of targets) {
    const shown = file === undefined;
    const text =
      format === "json"
        ? jsonReport(report)
        : format === "junit"
          ? junitReport(report)
          : format === "markdown"
            ? markdownReport(report)
            : terminalReport(report, {
                command: `longrunning conformance ${relative(".", path) || path}`,
                ...(shown && { style: (style, words) => styled(out, style, words) }),
                printable,
              });
    if (shown) out.write(text);
    else await writeReport(file, text);
  }
}

async function writeReport(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw unwritableFile(file, cause);
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (cause) {
    throw unwritableFile(path, cause);
  }
}

/** A line on standard error that is overwritten. It is shown on terminals only. */
function progressLine({ terminal: { err } }: CommandContext) {
  const clear = () => {
    if (err.isTerminal) err.write("\r\x1b[K");
  };
  return {
    show(text: string) {
      clear();
      if (err.isTerminal) err.write(text.slice(0, err.columns - 1));
    },
    failed({ id, protocol, outcome }: CaseReport) {
      if (!err.isTerminal || outcome !== "fail") return;
      clear();
      err.write(`${styled(err, "red", "FAIL")}  ${id}  ${protocol}\n`);
    },
    clear,
  };
}

function caseList(): string {
  const width = Math.max(...allCases.map(({ id }) => id.length));
  return allCases
    .map(({ id, level, title }) => `${id.padEnd(width)}  ${level.padEnd(8)}  ${title}\n`)
    .join("");
}

function matches(id: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(id);
}

function parseReports(text: string): readonly ReportTarget[] {
  return text.split(",").map((part) => {
    const [format, file] = part.split("=");
    if (format !== "terminal" && format !== "json" && format !== "junit" && format !== "markdown") {
      throw new InvalidArgumentError(
        "It must be terminal, json=FILE, junit=FILE or markdown=FILE.",
      );
    }
    return { format, file: file === "" ? undefined : file };
  });
}

function parseProtocol(text: string): string {
  if (protocols.some((protocol) => protocol === text)) return text;
  throw new InvalidArgumentError(`It must be one of ${protocols.join(", ")}.`);
}

function parseWhole(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 2 ** 32)
    throw new InvalidArgumentError("It must be a whole number.");
  return number;
}

function parseFactor(text: string): number {
  const factor = Number(text);
  if (!(factor >= 0.01 && factor <= 1000)) {
    throw new InvalidArgumentError("It must be a number from 0.01 to 1000.");
  }
  return factor;
}
