import { type BulkAction, type BulkPlan, planBulk, runBulk } from "../bulk/bulk-operations.js";
import { printable, printableJson } from "../display/printable.js";
import { codeName } from "../status/code.js";
import { callServer } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { bulkNotConfirmed } from "./errors.js";
import { exitCodes } from "./exit-codes.js";
import type { ServerArguments } from "./server-command.js";

/** Options of a command that changes all operations that a filter matches. */
export interface BulkArguments extends ServerArguments {
  readonly parent: string;
  readonly yes?: true | undefined;
}

const done: Readonly<Record<BulkAction, string>> = {
  cancel: "asked the server to cancel",
  delete: "deleted",
};

/**
 * Runs `cancel --filter` or `delete --filter`: counts the operations, asks, changes them, and reports
 * the failures. An interruption stops it after the calls under way.
 *
 * @returns The exit code: `refused` if an operation failed, `interrupted` if some were not tried.
 */
export function runBulkCommand(
  context: CommandContext,
  options: BulkArguments,
  { action, filter }: { readonly action: BulkAction; readonly filter: string },
): Promise<number> {
  const { out, err } = context.terminal;
  const { parent } = options;
  return callServer(context, options, parent, async ({ client, signal }) => {
    const plan = await planBulk(client, { action, filter, parent, signal });
    if (options.yes !== true && plan.names.length > 0) await confirm(context, plan);
    const total = plan.names.length;
    const report = await runBulk(client, plan, {
      signal,
      timeoutMs: options.timeout,
      onProgress(finished) {
        if (err.isTerminal) err.write(`\r${finished} of ${total}${finished === total ? "\n" : ""}`);
      },
    });
    const { succeeded, failed, failures, skipped } = report;
    if (options.json) {
      const shown = failures.map(({ name, error }) => ({
        name,
        code: codeName(error.code),
        message: error.rawMessage,
      }));
      const { isComplete } = plan;
      const value = { action, succeeded, failed, skipped, isComplete, failures: shown };
      out.write(`${printableJson(value, 0)}\n`);
    } else {
      out.write(`${done[action]} ${succeeded} of ${total} operations\n`);
      for (const { name, error } of failures) {
        err.write(`${printable(name)}: ${codeName(error.code)}: ${printable(error.rawMessage)}\n`);
      }
      if (failed > failures.length) err.write(`and ${failed - failures.length} more failures\n`);
      if (skipped > 0) err.write(`${skipped} operations were not tried\n`);
      if (!plan.isComplete) err.write("more operations match: run the command again\n");
    }
    if (skipped > 0) return exitCodes.interrupted;
    return failed > 0 ? exitCodes.refused : exitCodes.success;
  });
}

/** Asks for the number of operations, which cannot be typed by mistake. */
async function confirm({ terminal, input }: CommandContext, plan: BulkPlan): Promise<void> {
  const { err } = terminal;
  const count = plan.names.length;
  const [first] = plan.names;
  err.write(
    `${plan.action} ${count} operation${count === 1 ? "" : "s"}, the first is ${printable(first ?? "")}\n`,
  );
  if (!err.isTerminal) throw bulkNotConfirmed(count);
  err.write(`type ${count} to go on: `);
  if ((await firstLine(input)) !== String(count)) throw bulkNotConfirmed(count);
}

async function firstLine(input: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of input) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return (text.split("\n")[0] ?? "").trim();
}
