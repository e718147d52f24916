import { formatAge } from "../display/format-time.js";
import { printable, printableJson } from "../display/printable.js";
import type { RequeueOutcome } from "../store/index.js";
import type { CommandContext } from "./command-context.js";
import { operationNotStored } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import { withTimeTexts } from "./inspection-text.js";
import { operatorCommand, withOperator } from "./operator-options.js";

/** `longrunning requeue`: queues an operation again. */
export function requeueCommand(context: CommandContext, exit: (code: number) => void) {
  return operatorCommand("requeue")
    .summary("queue an operation again that nothing runs")
    .description(
      "Queue an operation again: one that the queue does not know, whose retry is not due yet, whose " +
        "process is gone, or that is blocked although its resource is free. An operation that a " +
        "living process runs is left there, unless --force takes it away: its attempt is lost, and " +
        "the work begins again elsewhere, possibly while the old work has not stopped yet.",
    )
    .argument("<name>", "the operation's name, as operations/123")
    .option("--force", "take the operation away from a living process")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning requeue operations/123 --database-url postgres://localhost/jobs\n",
    )
    .action(async (name, options, command) => {
      const code = await withOperator(context, options, command, async (operator) => {
        const outcome = await operator.requeue(name, options.force === true);
        if (outcome.kind === "not-found") throw operationNotStored(name);
        const { out, err } = context.terminal;
        const isDone = outcome.kind === "requeued" || outcome.kind === "already-queued";
        if (options.json) {
          out.write(`${printableJson(withTimeTexts({ name, ...outcome }), 0)}\n`);
        } else {
          const line = `${printable(name)} ${outcomeText(outcome, context.clock.nowMs())}\n`;
          (isDone ? out : err).write(line);
        }
        return isDone ? exitCodes.success : exitCodes.refused;
      });
      exit(code);
    });
}

function outcomeText(outcome: RequeueOutcome, nowMs: number): string {
  switch (outcome.kind) {
    case "requeued":
      return "is queued again";
    case "already-queued":
      return "is in the queue already: a process that handles its method takes it when it has room";
    case "running": {
      const { owner, renewTimeMicros } = outcome;
      const renewed =
        renewTimeMicros === null
          ? ""
          : `, which renewed its lease ${formatAge(nowMs - renewTimeMicros / 1000)} ago`;
      return `was left: it runs in ${owner === null ? "a living process" : printable(owner)}${renewed}; --force takes it away`;
    }
    case "blocked":
      return `was left: it waits for its resource, which ${printable(outcome.by) || "another operation"} uses`;
    case "done":
      return "was left: it is done";
    case "external":
      return "was left: its work runs outside the server";
    case "never-handled":
      return `was left: no process has handled ${printable(outcome.method)} yet, so there is no queue`;
    case "not-found":
      return "does not exist";
  }
}
