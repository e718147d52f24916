import { toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { parseOperationName } from "../operation/name.js";
import { type Operation, StatusSchema } from "../protos.js";
import type { OperationStore, StoredResult } from "../store/operation-store.js";

/** How long completed operations are kept, in milliseconds: a hundred years. */
const retentionMs = 100 * 365 * 24 * 60 * 60 * 1000;

/**
 * Inserts operations into a store as externally driven operations. It inserts the last operation
 * first, so that lists, which show the newest first, keep the given order.
 *
 * @returns The operations that were skipped, because the store already has their names.
 */
export async function storeOperations(
  store: OperationStore,
  operations: readonly Operation[],
): Promise<Operation[]> {
  const leftOut: Operation[] = [];
  for (const operation of [...operations].reverse()) {
    const { name, metadata } = operation;
    const outcome = await store.insert({
      name,
      parent: parseOperationName(name)?.parent ?? "",
      method: "",
      principal: "",
      external: true,
      request: new Uint8Array(),
      metadata: metadata && toBinary(AnySchema, metadata),
      result: storedResultOf(operation),
      retentionMs,
      deadlineMs: undefined,
      resourceKey: undefined,
      requestId: undefined,
    });
    if (outcome.kind !== "inserted") leftOut.push(operation);
  }
  return leftOut;
}

function storedResultOf({ result }: Operation): StoredResult | undefined {
  switch (result.case) {
    case "response":
      return { kind: "response", value: toBinary(AnySchema, result.value) };
    case "error":
      return { kind: "error", value: toBinary(StatusSchema, result.value) };
    case undefined:
      return undefined;
  }
}
