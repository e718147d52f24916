import { Code, ConnectError } from "@connectrpc/connect";
import { type OperationSummary, statusOf, summarize } from "../../display/operation-summary.js";
import type { PayloadTypes } from "../../display/payload-types.js";
import type { Operation } from "../../protos.js";

/** One operation as the list shows it. */
export interface Row {
  readonly name: string;
  readonly operation: Operation;
  readonly summary: OperationSummary;
}

export async function rowOf(operation: Operation, types: PayloadTypes): Promise<Row> {
  return { name: operation.name, operation, summary: await summarized(operation, types) };
}

/** Summarizes without the metadata if that cannot be read, such as messages that are too deep. */
async function summarized(operation: Operation, types: PayloadTypes): Promise<OperationSummary> {
  try {
    return await summarize(operation, types);
  } catch {
    return summarize({ ...operation, metadata: undefined }, types);
  }
}

/** Whether two rows look the same. */
export function isSameRow(one: Row, other: Row): boolean {
  return JSON.stringify(one.summary) === JSON.stringify(other.summary);
}

export function isRunning({ operation }: Row): boolean {
  return statusOf(operation) === "running";
}

/** Whether the server does not have the method of a call. */
export function isMissing(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unimplemented;
}
