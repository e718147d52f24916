import { formatAge } from "../display/format-time.js";
import { printable, printableJson } from "../display/printable.js";
import { styled } from "../display/style.js";
import type { RunningOperationReport, WorkerReport } from "../store/index.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
import { withTimeTexts } from "./inspection-text.js";
import { operatorCommand, withOperator } from "./operator-options.js";
import type { Output } from "./terminal.js";

/** `longrunning workers`: shows which process runs which operations. */
export function workersCommand(context: CommandContext, exit: (code: number) => void) {
  return operatorCommand("workers")
    .summary("show the processes and what each of them runs")
    .description(
      "Show the processes that handle methods, and the operations that each of them runs now, with " +
        "the time since their claim. A process that gives no sign of life keeps its operations until " +
        "its lease is over.",
    )
    .addHelpText(
      "after",
      "\nExample:\n  longrunning workers --database-url postgres://localhost/jobs\n",
    )
    .action(async (options, command) => {
      const code = await withOperator(context, options, command, async (operator) => {
        const workers = await operator.workers();
        const { out } = context.terminal;
        out.write(
          options.json
            ? `${printableJson({ workers: withTimeTexts(workers) }, 2)}\n`
            : workersText(workers, context.clock.nowMs(), out),
        );
        return exitCodes.success;
      });
      exit(code);
    });
}

function workersText(workers: readonly WorkerReport[], nowMs: number, output: Output): string {
  if (workers.length === 0) return "no process handles a method\n";
  const age = (micros: number | null) =>
    micros === null ? "an unknown time" : formatAge(nowMs - micros / 1000);
  const lines = workers.flatMap((worker) => [
    `${styled(output, "bold", worker.id === null ? "an unknown process" : printable(worker.id))}  ${stateText(worker, age)}`,
    ...worker.running.map((operation) => `  ${runningText(operation, age)}`),
  ]);
  return `${lines.join("\n")}\n`;
}

function stateText(
  { startTimeMicros, seenTimeMicros, stopTimeMicros, isSilent, running }: WorkerReport,
  age: (micros: number | null) => string,
): string {
  const runs = running.length === 0 ? "idle" : `runs ${running.length}`;
  if (startTimeMicros === null) return runs;
  const life =
    stopTimeMicros === null
      ? `last sign of life ${age(seenTimeMicros)} ago${isSilent ? ", SILENT" : ""}`
      : `shut down ${age(stopTimeMicros)} ago`;
  return `${runs}, started ${age(startTimeMicros)} ago, ${life}`;
}

function runningText(
  { name, method, attempt, claimTimeMicros }: RunningOperationReport,
  age: (micros: number | null) => string,
): string {
  return `${printable(name)}  ${printable(method)}  attempt ${attempt}, for ${age(claimTimeMicros)}`;
}
