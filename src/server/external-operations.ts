import type { LongRunningMethod } from "../operation/long-running.js";
import { fullName } from "../operation/long-running.js";
import type { Operation } from "../protos.js";
import type { OperationRecord, OperationStore, StoredResult } from "../store/operation-store.js";
import {
  operationDone,
  operationNotExternal,
  operationNotFound,
  operationOfOtherMethod,
} from "./errors.js";
import { operationFromRecord } from "./operation-message.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** Drives operations whose work runs elsewhere. */
export interface ExternalOperations {
  /** Keep a serialized Any as the metadata. */
  report(
    name: string,
    method: LongRunningMethod,
    metadata: Uint8Array,
  ): Promise<{ cancelRequested: boolean }>;
  /** @param method The method that must have started it; undefined for any. */
  end(
    name: string,
    method: LongRunningMethod | undefined,
    result: StoredResult,
  ): Promise<Operation>;
}

export function createExternalOperations(
  store: OperationStore,
  writeAndPublish: WriteAndPublish,
): ExternalOperations {
  const find = async (
    name: string,
    method: LongRunningMethod | undefined,
  ): Promise<OperationRecord> => {
    const record = await store.get(name);
    if (record === undefined) throw operationNotFound(name);
    if (!record.external) throw operationNotExternal(name);
    if (method !== undefined && record.method !== fullName(method.method)) {
      throw operationOfOtherMethod(name, record.method);
    }
    return record;
  };
  return {
    async report(name, method, metadata) {
      const written = await store.report(await find(name, method), { metadata });
      if (written === undefined) throw operationDone(name);
      return { cancelRequested: written.cancelRequestTimeMicros !== undefined };
    },
    async end(name, method, result) {
      const record = await find(name, method);
      const done = await writeAndPublish(
        (transaction) => store.finish(record, result, undefined, { transaction }),
        () => "done",
      );
      if (done === undefined) throw operationDone(name);
      return operationFromRecord(done);
    },
  };
}
