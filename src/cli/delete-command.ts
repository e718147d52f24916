import { printable, printableJson } from "../display/printable.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";

/** `longrunning delete`: have the server forget an operation. */
export function deleteCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("delete", "how long the call may take (default: 30s)")
    .summary("delete an operation and its result")
    .description(
      "Tell the server that nobody wants the result of an operation any more. It stops no work; " +
        "`longrunning cancel` does.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning delete operations/123 --server http://localhost:8080\n",
    )
    .action(async (name, options) => {
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
