import { operationText } from "../display/operation-text.js";
import { printableJson } from "../display/printable.js";
import { OperationSchema } from "../protos.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
import { serverCommand } from "./server-command.js";

/** `longrunning get`: shows the state of one operation. */
export function getCommand(context: CommandContext, exit: (code: number) => void) {
  return serverCommand("get", "how long the call may take (default: 30s)")
    .summary("show one operation")
    .description("Show the state of one operation, whatever it is.")
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning get operations/123 --server http://localhost:8080\n",
    )
    .action(async (name, options) => {
      const code = await callServer(context, options, name, async (call) => {
        const operation = await call.client.get(name, call.callOptions);
        const json = await call.types.json(OperationSchema, operation);
        const { out } = context.terminal;
        out.write(
          options.json ? `${printableJson(json, 2)}\n` : operationText(operation, json, out),
        );
        return exitCodes.success;
      });
      exit(code);
    });
}
