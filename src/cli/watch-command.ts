import { operationStates } from "../client/operation-states.js";
import { type OperationSummary, summarize } from "../display/operation-summary.js";
import { statusStyles } from "../display/operation-text.js";
import { printable, printableJson } from "../display/printable.js";
import { percentText } from "../display/progress-text.js";
import { styled } from "../display/style.js";
import { OperationSchema } from "../protos.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodeOfStatus, exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";
import type { Output } from "./terminal.js";

/** `longrunning watch`: a line for each change of an operation, up to its end. */
export function watchCommand(context: CommandContext, exit: (code: number) => void) {
  const { out } = context.terminal;
  return serverCommand("watch", "how long to watch (default: to the end)")
    .summary("print each change of an operation")
    .description(
      "Print a line for each change of an operation, up to its end; with --json the whole " +
        "operation, one a line. The exit code says how it ended.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning watch operations/123 --server http://localhost:8080 --json\n",
    )
    .action(async (name, options) => {
      const code = await callServer(context, options, name, async ({ client, types, signal }) => {
        const { clock } = context;
        let exitCode: number = exitCodes.success;
        const states = operationStates(client, name, { clock, signal, timeoutMs: options.timeout });
        for await (const operation of states) {
          const view = await summarize(operation, types);
          out.write(
            options.json
              ? `${printableJson(await types.json(OperationSchema, operation), 0)}\n`
              : lineOf(view, clock.nowMs(), out),
          );
          exitCode = exitCodeOfStatus(view.status);
        }
        return exitCode;
      });
      exit(code);
    });
}

function lineOf({ status, progress, error }: OperationSummary, nowMs: number, out: Output): string {
  const time = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  const state = styled(out, statusStyles[status], status);
  return `${[time, state, percentText(progress), printable(error)].filter((part) => part !== "").join("  ")}\n`;
}
