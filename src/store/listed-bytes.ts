import type { OperationRecord } from "./operation-store.js";

/** The tags, lengths and times that come with an operation in a list. */
const overheadBytes = 100;

/** About how many bytes a record takes in the answer to a list. */
export function listedBytesOf({ name, metadata, result }: OperationRecord): number {
  return overheadBytes + name.length + (metadata?.length ?? 0) + (result?.value.length ?? 0);
}
