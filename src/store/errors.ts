import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo, retryDetail } from "../status/error-info.js";

/** Returns FAILED_PRECONDITION for a transaction that the store, queue or signals cannot take part in. */
export function transactionUnsupported(who: string): ConnectError {
  return errorWithInfo(Code.FailedPrecondition, `the ${who} cannot take part in this transaction`, {
    reason: "TRANSACTION_UNSUPPORTED",
    metadata: { who },
  });
}

/** Returns FAILED_PRECONDITION for a call in a transaction that has ended. */
export function transactionOver(): ConnectError {
  return errorWithInfo(Code.FailedPrecondition, "the transaction is over", {
    reason: "TRANSACTION_OVER",
  });
}

/** Returns FAILED_PRECONDITION for a transaction that reaches a second shard. */
export function transactionSpansShards(): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    "the transaction has begun in another shard: use one transaction for each shard",
    { reason: "TRANSACTION_SPANS_SHARDS" },
  );
}

/** Returns FAILED_PRECONDITION for a statement before the shard of its transaction is known. */
export function shardUnknown(): ConnectError {
  return errorWithInfo(
    Code.FailedPrecondition,
    "the shard of the transaction is not known yet: start, read or write an operation first",
    { reason: "SHARD_UNKNOWN" },
  );
}

/** Returns UNAVAILABLE for a shard that did not answer in time. */
export function shardUnreachable(place: string): ConnectError {
  return errorWithInfo(Code.Unavailable, `"${place}" cannot be reached`, {
    reason: "SHARD_UNREACHABLE",
    metadata: { place },
    details: [retryDetail(1000)],
  });
}

/** The bound that a full store has reached. */
export type StoreBound = { readonly maxOperations: number } | { readonly maxBytes: number };

/** Returns RESOURCE_EXHAUSTED for a store that has reached its limit of operations or bytes. */
export function storeFull(bound: StoreBound): ConnectError {
  const most =
    "maxBytes" in bound
      ? `${bound.maxBytes} bytes of operations`
      : `${bound.maxOperations} operations`;
  return errorWithInfo(
    Code.ResourceExhausted,
    `the server keeps at most ${most} and can take no more until some expire or are deleted`,
    {
      reason: "STORE_FULL",
      metadata: Object.fromEntries(
        Object.entries(bound).map(([field, value]) => [field, String(value)]),
      ),
      details: [retryDetail(60_000)],
    },
  );
}

/**
 * Returns UNAVAILABLE for a call to a closed store. NOT_FOUND would make a client believe that its
 * operation is gone.
 */
export function storeClosed(): ConnectError {
  return errorWithInfo(Code.Unavailable, "the server has shut down", {
    reason: "STORE_CLOSED",
    details: [retryDetail(1000)],
  });
}

/** Returns RESOURCE_EXHAUSTED for a queue that has reached its limit of operations. */
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
