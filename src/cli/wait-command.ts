import { operationStates } from "../client/operation-states.js";
import { statusOf, summarize } from "../display/operation-summary.js";
import { operationText } from "../display/operation-text.js";
import { printableJson } from "../display/printable.js";
import { type Operation, OperationSchema } from "../protos.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodeOfStatus } from "./exit-codes.js";
import { createProgressDisplay } from "./progress-display.js";
import { serverCommand } from "./server-command.js";

/** `longrunning wait`: follow one operation to its end, with its progress. */
export function waitCommand(context: CommandContext, exit: (code: number) => void) {
  const { out, err } = context.terminal;
  return serverCommand("wait", "how long to wait (default: to the end)")
    .summary("wait for the end of an operation")
    .description(
      "Wait for the end of an operation and print it. Progress goes to standard error: a bar " +
        "where the metadata has a percentage or a done/total pair, a spinner otherwise, plain " +
        "lines where it is no terminal. The exit code says how it ended.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning wait operations/123 --server http://localhost:8080 --timeout 10m\n",
    )
    .action(async (name, options) => {
      const code = await callServer(context, options, name, async ({ client, types, signal }) => {
        const { clock } = context;
        // The display is for people. With JSON output, standard error contains only errors.
        const isShown = err.isTerminal || !options.json;
        const display = isShown ? createProgressDisplay(err, clock) : undefined;
        let final: Operation | undefined;
        try {
          const states = operationStates(client, name, {
            clock,
            signal,
            timeoutMs: options.timeout,
          });
          for await (const operation of states) {
            final = operation;
            if (!operation.done) display?.show((await summarize(operation, types)).progress);
          }
        } finally {
          display?.close();
        }
        if (final === undefined) throw new Error("the wait ended without a state");
        const json = await types.json(OperationSchema, final);
        out.write(options.json ? `${printableJson(json, 2)}\n` : operationText(final, json, out));
        return exitCodeOfStatus(statusOf(final));
      });
      exit(code);
    });
}
