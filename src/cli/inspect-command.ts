import { printableJson } from "../display/printable.js";
import type { CommandContext } from "./command-context.js";
import { operationNotStored } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { inspectionText, timeText, withTimeTexts } from "./inspection-text.js";
import { operatorCommand, withOperator } from "./operator-options.js";

/** `longrunning inspect`: shows an operation with its attempts, from the database. */
export function inspectCommand(context: CommandContext, exit: (code: number) => void) {
  return operatorCommand("inspect")
    .summary("show an operation with its attempts, from the database")
    .description(
      "Show an operation as the database keeps it, deleted and expired ones included: its state, " +
        "the process that runs it, its lost attempts with their causes, its request id, times and " +
        "principal. The contents of the request, the metadata, the checkpoint and the response are " +
        "not shown. --json is the export for a bug report.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning inspect operations/123 --database-url postgres://localhost/jobs\n" +
        "  longrunning inspect operations/123 --data jobs.db --json\n",
    )
    .action(async (name, options, command) => {
      const code = await withOperator(context, options, command, async (operator) => {
        const operation = await operator.inspect(name);
        if (operation === undefined) throw operationNotStored(name);
        const { out } = context.terminal;
        const nowMs = context.clock.nowMs();
        if (options.json) {
          const exported = {
            version: context.version,
            exportTime: timeText(Math.round(nowMs * 1000)),
            operation: withTimeTexts(operation),
          };
          out.write(`${printableJson(exported, 2)}\n`);
        } else {
          out.write(inspectionText(operation, nowMs, out));
        }
        return exitCodes.success;
      });
      exit(code);
    });
}
