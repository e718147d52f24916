import { InvalidArgumentError } from "commander";
import { summarize } from "../display/operation-summary.js";
import { printable, printableJson } from "../display/printable.js";
import type { ListOperationsResponse } from "../protos.js";
import { OperationSchema } from "../protos.js";
import { callServer, type ServerCall } from "./call-server.js";
import type { CommandContext } from "./command-context.js";
import { exitCodes } from "./exit-codes.js";
import { createOperationTable } from "./operation-table.js";
import { serverCommand } from "./server-command.js";
import type { Output } from "./terminal.js";

/** Writes the pages of a list. */
interface ListWriter {
  page(page: ListOperationsResponse): Promise<void>;
  /** @param nextPageToken The token of the next page; empty at the end of the list. */
  end(nextPageToken: string): void;
}

/** `longrunning list`: shows the operations of a parent. */
export function listCommand(context: CommandContext, exit: (code: number) => void) {
  const { out, err } = context.terminal;
  return serverCommand("list", "how long the call for one page may take (default: 30s)")
    .summary("list operations")
    .description(
      "List the operations of a parent, one page of them or, with --all, every page. With " +
        "--json it is a google.longrunning.ListOperationsResponse, which `serve --load` takes.",
    )
    .argument("[name]", "the parent, as projects/p/locations/l; none for operations/…", "")
    .option("--filter <filter>", "which ones (AIP-160), as 'done = true'", "")
    .option("--page-size <number>", "most operations in a page (default: the server's)", pageSize)
    .option("--page-token <token>", "where to go on", "")
    .option("--all", "all pages")
    .addHelpText(
      "after",
      "\nExample:\n  longrunning list --server http://localhost:8080 --filter 'done = false' --all\n",
    )
    .action(async (name, options) => {
      const code = await callServer(context, options, name, async (call) => {
        const { filter, pageSize, pageToken } = options;
        const writer = options.json
          ? jsonWriter(out, call)
          : tableWriter(out, err, call, context.clock.nowMs());
        const list = call.client.list({ name, filter, pageSize, pageToken }, call.callOptions);
        let nextPageToken = "";
        for await (const page of list.pages()) {
          await writer.page(page);
          ({ nextPageToken } = page);
          if (!options.all) break;
        }
        writer.end(nextPageToken);
        return exitCodes.success;
      });
      exit(code);
    });
}

function tableWriter(out: Output, err: Output, { types }: ServerCall, nowMs: number): ListWriter {
  const table = createOperationTable(out);
  return {
    async page({ operations, unreachable }) {
      table.add(await Promise.all(operations.map((one) => summarize(one, types))), nowMs);
      for (const place of unreachable) err.write(`not reached: ${printable(place)}\n`);
    },
    end(nextPageToken) {
      if (nextPageToken === "") return;
      err.write(`there are more: --all, or --page-token '${printable(nextPageToken)}'\n`);
    },
  };
}

/** Writes one JSON object for the whole list, page by page, so that the list may be long. */
function jsonWriter(out: Output, { types }: ServerCall): ListWriter {
  // The opening is written after the first page arrives, because the call for that page may fail.
  const opening = '{\n  "operations": [';
  let before = opening;
  const unreachable: string[] = [];
  return {
    async page(page) {
      unreachable.push(...page.unreachable);
      for (const operation of page.operations) {
        const text = printableJson(await types.json(OperationSchema, operation), 2);
        out.write(`${before}\n    ${text.replaceAll("\n", "\n    ")}`);
        before = ",";
      }
    },
    end(nextPageToken) {
      out.write(before === opening ? `${opening}]` : "\n  ]");
      if (nextPageToken !== "") {
        out.write(`,\n  "nextPageToken": ${printableJson(nextPageToken, 0)}`);
      }
      if (unreachable.length > 0) {
        out.write(`,\n  "unreachable": ${printableJson(unreachable, 0)}`);
      }
      out.write("\n}\n");
    },
  };
}

function pageSize(text: string): number {
  const size = Number(text);
  if (!Number.isInteger(size) || size < 1 || size > 2 ** 31 - 1) {
    throw new InvalidArgumentError("It must be a whole number of at least 1.");
  }
  return size;
}
