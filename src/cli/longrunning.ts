#!/usr/bin/env node
// The `longrunning` command. The program itself is imported below, because
// @connectrpc/connect-node is an optional peer and may be missing.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { systemClock } from "../internal/clock.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
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

// Whoever reads may have had enough, as `head` does.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

try {
  const { runProgram } = await import("./program.js");
  process.exitCode = await runProgram(process.argv.slice(2), context);
} catch (error) {
  if (!isMissing(error, "@connectrpc/connect-node")) throw error;
  context.terminal.err.write(
    "error: the package @connectrpc/connect-node is not installed\n" +
      "  npm install @connectrpc/connect-node, in the version of @connectrpc/connect\n",
  );
  process.exitCode = exitCodes.fault;
}

/** Whether an import failed because a package is not installed. */
function isMissing(error: unknown, packageName: string): boolean {
  return error instanceof Error && error.message.startsWith(`Cannot find package '${packageName}'`);
}

async function packageVersion(): Promise<string> {
  const path = createRequire(import.meta.url).resolve("connect-longrunning/package.json");
  const manifest: { readonly version: string } = JSON.parse(await readFile(path, "utf8"));
  return manifest.version;
}
