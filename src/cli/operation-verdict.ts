import { Code } from "@connectrpc/connect";
import type { Operation } from "../protos.js";

/** How far an operation is, in a word. */
export type OperationVerdict = "running" | "succeeded" | "failed" | "cancelled";

/**
 * Read how far an operation is. One that is done without a result has succeeded: some
 * services give none (operations.proto, oneof `result`).
 */
export function verdictOf({ done, result }: Operation): OperationVerdict {
  if (!done) return "running";
  if (result.case !== "error") return "succeeded";
  return result.value.code === Code.Canceled ? "cancelled" : "failed";
}
