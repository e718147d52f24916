import { Code, ConnectError } from "@connectrpc/connect";
import type { OperationsClient } from "../client/index.js";
import { truncateForError } from "../internal/truncate-for-error.js";
import { parseFilterSyntax } from "../server/filter/parse-filter-syntax.js";
import { filterVerdict } from "./filter-verdict.js";

/** Action of a bulk run, applied to every operation that a filter matches. */
export type BulkAction = "cancel" | "delete";

/** The operations of a bulk action. */
export interface BulkRequest {
  readonly action: BulkAction;
  /** AIP-160; not empty. */
  readonly filter: string;
  /** The parent of the operations. Default: none, `operations/…`. */
  readonly parent?: string | undefined;
  /** The largest number of operations, at least 1. Default: 100,000. */
  readonly maxOperations?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The operations that a bulk action would change. Nothing has changed yet. */
export interface BulkPlan {
  readonly action: BulkAction;
  readonly names: readonly string[];
  /** False if more than `maxOperations` match: plan again after this plan has run. */
  readonly isComplete: boolean;
}

/** The outcome of a bulk action. */
export interface BulkReport {
  /** Operations that were cancelled or deleted, including those that were gone already. */
  readonly succeeded: number;
  readonly failed: number;
  /** The first 100 failures. */
  readonly failures: readonly BulkFailure[];
  /** Operations that were not tried, because the signal aborted. */
  readonly skipped: number;
}

export interface BulkFailure {
  readonly name: string;
  readonly error: ConnectError;
}

/** Options of running a plan. */
export interface BulkRunOptions {
  /** Stops after the calls under way; the report counts the rest as skipped. */
  readonly signal?: AbortSignal | undefined;
  /** The longest time of each call, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Called after each operation with the number of those that are finished. */
  readonly onProgress?: ((finished: number) => void) | undefined;
}

/** A filter that every server with filters refuses. */
const invalidFilter = "(((";
const concurrency = 8;
const maxFailures = 100;

/**
 * Finds the operations that match a filter, and makes sure that the server has applied it. A server
 * may ignore `filter`, and then a cancellation would affect every operation. Either the server
 * refuses a filter that is not valid, or each listed operation matches by its own fields. An
 * operation that does not match ends the plan in any case.
 *
 * @throws ConnectError `InvalidArgument` for an empty filter or one that cannot be parsed;
 * `FailedPrecondition` if the server ignores the filter, or may do so; the server's errors.
 */
export async function planBulk(client: OperationsClient, request: BulkRequest): Promise<BulkPlan> {
  const { action, filter, parent = "", maxOperations = 100_000, signal } = request;
  const syntax = parseFilterSyntax(filter);
  if (syntax === undefined) {
    throw new ConnectError("the filter must not be empty", Code.InvalidArgument);
  }
  const isApplied = await refusesInvalidFilter(client, parent, signal);
  const names: string[] = [];
  let isComplete = true;
  for await (const operation of client.list({ name: parent, filter }, { signal })) {
    const verdict = filterVerdict(syntax, operation);
    if (verdict === "no-match" || (verdict === "unknown" && !isApplied)) {
      throw filterIgnored(verdict === "no-match" ? operation.name : undefined);
    }
    // Cancelling an operation that is done changes nothing.
    if (action === "cancel" && operation.done) continue;
    if (names.length === maxOperations) {
      isComplete = false;
      break;
    }
    names.push(operation.name);
  }
  return { action, names, isComplete };
}

/** Cancels or deletes the operations of a plan. Never rejects for a single operation. */
export async function runBulk(
  client: OperationsClient,
  { action, names }: BulkPlan,
  { signal, timeoutMs = 30_000, onProgress }: BulkRunOptions = {},
): Promise<BulkReport> {
  const failures: BulkFailure[] = [];
  let next = 0;
  let succeeded = 0;
  let failed = 0;
  const runOne = async (name: string) => {
    try {
      const bounds = { timeoutMs };
      await (action === "cancel" ? client.cancel(name, bounds) : client.delete(name, bounds));
      succeeded += 1;
    } catch (cause) {
      const error = ConnectError.from(cause);
      // Another caller has deleted the operation, or it has expired.
      if (error.code === Code.NotFound) {
        succeeded += 1;
      } else {
        failed += 1;
        if (failures.length < maxFailures) failures.push({ name, error });
      }
    }
    onProgress?.(succeeded + failed);
  };
  const runNext = async () => {
    while (signal?.aborted !== true) {
      const name = names[next];
      if (name === undefined) return;
      next += 1;
      await runOne(name);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runNext));
  return { succeeded, failed, failures, skipped: names.length - succeeded - failed };
}

async function refusesInvalidFilter(
  client: OperationsClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const request = { name, filter: invalidFilter, pageSize: 1 };
    for await (const _ of client.list(request, { signal }).pages()) break;
    return false;
  } catch (cause) {
    if (ConnectError.from(cause).code === Code.InvalidArgument) return true;
    throw cause;
  }
}

function filterIgnored(name: string | undefined): ConnectError {
  const why =
    name === undefined
      ? "it accepts a filter that is not valid, and the listed operations do not show whether they match"
      : `it lists "${truncateForError(name)}", which does not match`;
  return new ConnectError(`the server ignores the filter: ${why}`, Code.FailedPrecondition);
}
