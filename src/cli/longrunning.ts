#!/usr/bin/env node
// The `longrunning` command. It is published as one file with its packages inside
// (build/bundle-command.ts), so that it depends on nothing that a project installs.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { systemClock } from "../internal/clock.js";
import type { CommandContext } from "./command-context.js";
import { runProgram } from "./program.js";
import { createTerminal } from "./terminal.js";

const context: CommandContext = {
  terminal: createTerminal(process.stdout, process.stderr, process.env),
  input: process.stdin,
  clock: systemClock,
  version: await packageVersion(),
  onSignal(listener) {
    process.on("SIGINT", listener).on("SIGTERM", listener);
    return () => void process.off("SIGINT", listener).off("SIGTERM", listener);
  },
  exitNow: (code) => process.exit(code),
};

// The reader may close the pipe early, as `head` does.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

process.exitCode = await runProgram(process.argv.slice(2), context);

async function packageVersion(): Promise<string> {
  const path = createRequire(import.meta.url).resolve("connect-longrunning/package.json");
  const manifest: { readonly version: string } = JSON.parse(await readFile(path, "utf8"));
  return manifest.version;
}
