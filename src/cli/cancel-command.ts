import { printable, printableJson } from "../display/printable.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";

/** `longrunning cancel`: ask for the cancellation of an operation. */
export function cancelCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("cancel", "how long the call may take (default: 30s)")
    .summary("ask the server to cancel an operation")
    .description(
      "Ask the server to cancel an operation. It may take a while to stop, and may succeed all " +
        "the same: `longrunning wait` shows how it ends.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning cancel operations/123 --server http://localhost:8080\n",
    )
    .action(async (name, options) => {
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
