import type { OperationRecord } from "./operation-store.js";

/** The tags, lengths and times that come with an operation in a list. */
const overheadBytes = 100;

/** Returns the approximate size of a record in the response of a list, in bytes. */
export function listedBytesOf({ name, metadata, result }: OperationRecord): number {
  return overheadBytes + name.length + (metadata?.length ?? 0) + (result?.value.length ?? 0);
}
