import { printable, printableJson } from "../display/printable.js";
import { runBulkCommand } from "./bulk-command.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { nameOrFilter } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";

/** `longrunning cancel`: requests the cancellation of an operation. */
export function cancelCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("cancel", "how long the call may take (default: 30s)")
    .summary("ask the server to cancel an operation")
    .description(
      "Ask the server to cancel an operation. It may take a while to stop, and may succeed all " +
        "the same: `longrunning wait` shows how it ends.",
    )
    .argument("[name]", "the operation's name, as operations/123")
    .option("--filter <filter>", "cancel all operations that match (AIP-160), as 'done = false'")
    .option("--parent <parent>", "with --filter: the parent of the operations", "")
    .option("--yes", "with --filter: do not ask")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning cancel operations/123 --server http://localhost:8080\n" +
        "  longrunning cancel --filter 'done = false' --parent projects/p --server http://localhost:8080\n",
    )
    .action(async (name, options) => {
      const { filter } = options;
      if ((name === undefined) === (filter === undefined)) throw nameOrFilter();
      if (filter !== undefined) {
        exit(await runBulkCommand(context, options, { action: "cancel", filter }));
        return;
      }
      if (name === undefined) return;
      const code = await callServer(context, options, name, async ({ client, callOptions }) => {
        await client.cancel(name, callOptions);
        context.terminal.out.write(
          options.json
            ? `${printableJson({ name, cancelRequested: true }, 0)}\n`
            : `asked the server to cancel ${printable(name)}\n`,
        );
        return exitCodes.success;
      });
      exit(code);
    });
}
