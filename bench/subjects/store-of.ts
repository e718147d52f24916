/** The memory store with done operations. They do not go through `start`, which would choose their names. */
import { toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { parseOperationName } from "../../src/index.js";
import type { Operation } from "../../src/protos.js";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";

export async function storeOf(operations: readonly Operation[]): Promise<OperationStore> {
  const store = createMemoryStore();
  for (const { name, metadata, result } of operations) {
    if (metadata === undefined || result.case !== "response") throw new Error("not as expected");
    await store.insert({
      name,
      parent: parseOperationName(name)?.parent ?? "",
      method: "bench.v1.BenchService/Run",
      principal: "",
      external: false,
      request: new Uint8Array(),
      metadata: toBinary(AnySchema, metadata),
      result: { kind: "response", value: toBinary(AnySchema, result.value) },
      retentionMs: 24 * 60 * 60 * 1000,
      deadlineMs: undefined,
      resourceKey: undefined,
      requestId: undefined,
    });
  }
  return store;
}
