import { printable, printableJson } from "../display/printable.js";
import { runBulkCommand } from "./bulk-command.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { nameOrFilter } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";

/** `longrunning delete`: deletes an operation from the server. */
export function deleteCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("delete", "how long the call may take (default: 30s)")
    .summary("delete an operation and its result")
    .description(
      "Tell the server that nobody wants the result of an operation any more. It stops no work; " +
        "`longrunning cancel` does.",
    )
    .argument("[name]", "the operation's name, as operations/123")
    .option("--filter <filter>", "delete all operations that match (AIP-160), as 'done = true'")
    .option("--parent <parent>", "with --filter: the parent of the operations", "")
    .option("--yes", "with --filter: do not ask")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning delete operations/123 --server http://localhost:8080\n" +
        "  longrunning delete --filter 'done = true' --parent projects/p --server http://localhost:8080\n",
    )
    .action(async (name, options) => {
      const { filter } = options;
      if ((name === undefined) === (filter === undefined)) throw nameOrFilter();
      if (filter !== undefined) {
        exit(await runBulkCommand(context, options, { action: "delete", filter }));
        return;
      }
      if (name === undefined) return;
      const code = await callServer(context, options, name, async ({ client, callOptions }) => {
        await client.delete(name, callOptions);
        context.terminal.out.write(
          options.json
            ? `${printableJson({ name, deleted: true }, 0)}\n`
            : `deleted ${printable(name)}\n`,
        );
        return exitCodes.success;
      });
      exit(code);
    });
}
