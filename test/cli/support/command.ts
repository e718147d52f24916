import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleCommand } from "../../../build/bundle-command.js";
import { createWrittenText, type RunningCommand } from "./running-command.js";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** A command in a process of its own. */
export interface CommandProcess extends RunningCommand {
  readonly process: ChildProcessWithoutNullStreams;
}

/** The command as it is published: one file that Node runs. */
export interface Command {
  start(...args: string[]): CommandProcess;
  /** Where its program is. */
  readonly path: string;
  /** Take it off the disk. */
  remove(): Promise<void>;
}

/** Bundles the command inside the checkout, where the package's name leads to its package.json. */
export async function buildCommand(): Promise<Command> {
  const cache = join(repository, ".cache");
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "command-"));
  const path = join(directory, "longrunning.mjs");
  await bundleCommand(path);
  return {
    path,
    start: (...args) => startProcess(path, args),
    remove: () => rm(directory, { recursive: true }),
  };
}

function startProcess(path: string, args: readonly string[]): CommandProcess {
  const { LONGRUNNING_SERVER: _, ...env } = process.env;
  const child = spawn(process.execPath, [path, ...args], { env });
  const written = createWrittenText();
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => written.add(stream, text));
  }
  const ended = once(child, "close").then(() => ({
    exitCode: child.exitCode,
    stdout: written.stdout,
    stderr: written.stderr,
  }));
  return {
    process: child,
    ended,
    wrote: (stream, pattern) => written.wrote(stream, pattern, ended),
    interrupt: () => void child.kill("SIGINT"),
  };
}
