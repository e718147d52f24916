import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** How a command ended, and all that it wrote. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface RunningCommand {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** The match, as soon as what it wrote so far matches; rejects if it ends before. */
  wrote(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray>;
}

/** The real command in one file, as it is run by node. */
export interface Command {
  /** Run to the end. */
  run(...args: string[]): Promise<Ended>;
  start(...args: string[]): RunningCommand;
  /** Where its program is. */
  readonly path: string;
  /** Take it off the disk. */
  remove(): Promise<void>;
}

/** Bundle the command; the package's own name must lead to its package.json from there. */
export async function buildCommand(): Promise<Command> {
  const directory = await mkdtemp(join(repository, ".cache/command-"));
  const path = join(directory, "longrunning.mjs");
  await build({
    entryPoints: [join(repository, "src/cli/longrunning.ts")],
    outfile: path,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
  });
  const start = (...args: string[]) => startProcess(path, args);
  return {
    path,
    start,
    run: (...args) => start(...args).ended,
    remove: () => rm(directory, { recursive: true }),
  };
}

function startProcess(path: string, args: readonly string[]): RunningCommand {
  const { LONGRUNNING_SERVER: _, ...env } = process.env;
  const child = spawn(process.execPath, [path, ...args], { env });
  const written = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      written[stream] += text;
    });
  }
  const ended = once(child, "close").then(() => ({ exitCode: child.exitCode, ...written }));
  return {
    process: child,
    ended,
    wrote(stream, pattern) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(written[stream]);
          if (match === null) return;
          child[stream].off("data", look);
          resolve(match);
        };
        child[stream].on("data", look);
        look();
        ended.then((end) => reject(new Error(`ended without ${pattern}: ${JSON.stringify(end)}`)));
      });
    },
  };
}
