import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** FAILED_PRECONDITION for a transaction handed to who cannot take part in it. */
export function transactionUnsupported(who: string): ConnectError {
  return errorWithInfo(Code.FailedPrecondition, `the ${who} cannot take part in this transaction`, {
    reason: "TRANSACTION_UNSUPPORTED",
    metadata: { who },
  });
}

/** RESOURCE_EXHAUSTED for a store that holds as many operations as it may. */
export function storeFull(maxOperations: number, retryDelayMs: number): ConnectError {
  return errorWithInfo(
    Code.ResourceExhausted,
    `the server keeps ${maxOperations} operations and can take no more until some expire or are deleted`,
    {
      reason: "STORE_FULL",
      metadata: { maxOperations: String(maxOperations) },
      details: [retryDetail(retryDelayMs)],
    },
  );
}

/**
 * UNAVAILABLE for a call after the store was closed: never NOT_FOUND, which would
 * tell a client that its operation is gone.
 */
export function storeClosed(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server has shut down", {
    reason: "STORE_CLOSED",
    details: [retryDetail(1000)],
  });
}

/** RESOURCE_EXHAUSTED for a queue that holds as many operations as it may. */
export function queueFull(maxQueued: number): ConnectError {
  return errorWithInfo(
    Code.ResourceExhausted,
    `${maxQueued} operations wait for their turn, and no more can`,
    {
      reason: "QUEUE_FULL",
      metadata: { maxQueued: String(maxQueued) },
      details: [retryDetail(60_000)],
    },
  );
}
