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
import { operationMessage, type ShowRecord } from "./operation-message.js";
import type { WriteAndPublish } from "./write-and-publish.js";

/** Drives operations whose work runs elsewhere. */
export interface ExternalOperations {
  /** @param metadataFor Makes the serialized Any that is kept as the metadata. */
  report(
    name: string,
    method: LongRunningMethod,
    metadataFor: (record: OperationRecord) => Uint8Array,
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
  showRecord: ShowRecord,
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
    async report(name, method, metadataFor) {
      const record = await find(name, method);
      const written = await store.report(record, { metadata: metadataFor(record) });
      if (written === undefined) throw operationDone(name);
      return { cancelRequested: written.cancelRequestTimeMicros !== undefined };
    },
    async end(name, method, result) {
      const record = await find(name, method);
      const done = await writeAndPublish(
        (transaction) => store.finish(record, result, undefined, { transaction }),
        () => "done",
        { found: record },
      );
      if (done === undefined) throw operationDone(name);
      return operationMessage(showRecord(done));
    },
  };
}
