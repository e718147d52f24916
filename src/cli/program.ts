import { Command } from "@commander-js/extra-typings";
import { CommanderError } from "commander";
import { tellFailure } from "./call-server.js";
import { cancelCommand } from "./cancel-command.js";
import type { CommandContext } from "./command-context.js";
import { conformanceCommand } from "./conformance-command.js";
import { consoleCommand } from "./console-command.js";
import { deleteCommand } from "./delete-command.js";
import { exitCodeMeanings, exitCodes } from "./exit-codes.js";
import { failureOf } from "./failure.js";
import { getCommand } from "./get-command.js";
import { inspectCommand } from "./inspect-command.js";
import { listCommand } from "./list-command.js";
import { mcpCommand } from "./mcp-command.js";
import { migrateCommand } from "./migrate-command.js";
import { requeueCommand } from "./requeue-command.js";
import { serveCommand } from "./serve-command.js";
import { waitCommand } from "./wait-command.js";
import { watchCommand } from "./watch-command.js";
import { workersCommand } from "./workers-command.js";

/**
 * Runs the `longrunning` command. Never rejects.
 *
 * @param args The words after the command's name.
 * @returns The exit code, one of `exitCodes`.
 */
export async function runProgram(
  args: readonly string[],
  context: CommandContext,
): Promise<number> {
  const { out, err } = context.terminal;
  let exitCode: number = exitCodes.success;
  const exit = (code: number) => {
    exitCode = code;
  };
  const codes = exitCodeMeanings.map(
    ([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`,
  );
  const program = new Command("longrunning")
    .description(
      "See, wait for, cancel and delete the long-running operations (google.longrunning.Operations) " +
        "of any server, or serve some.",
    )
    .version(context.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .addHelpText("after", `\nExit codes:\n${codes.join("\n")}\n`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      getOutHelpWidth: () => out.columns,
      getErrHelpWidth: () => err.columns,
    });
  const commands = [
    serveCommand(context, exit),
    migrateCommand(context, exit),
    getCommand(context, exit),
    listCommand(context, exit),
    waitCommand(context, exit),
    watchCommand(context, exit),
    cancelCommand(context, exit),
    deleteCommand(context, exit),
    consoleCommand(context, exit),
    inspectCommand(context, exit),
    requeueCommand(context, exit),
    workersCommand(context, exit),
    mcpCommand(context, exit),
    conformanceCommand(context, exit),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed help, the version, or the error of an invalid command line.
    if (error instanceof CommanderError && error.code.startsWith("commander.")) {
      if (
        error.code === "commander.missingMandatoryOptionValue" &&
        /--server/.test(error.message)
      ) {
        err.write("  give --server, or set the environment variable LONGRUNNING_SERVER\n");
      }
      return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
    }
    const failure = failureOf(error, "");
    tellFailure(context, failure);
    return failure.exitCode;
  }
}
