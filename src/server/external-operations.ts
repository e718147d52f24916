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
import { operationMessage, type ToView } from "./operation-view.js";
import type { OperationWriter } from "./operation-writer.js";

/** Reports on and ends external operations, whose work runs outside this server. */
export interface ExternalOperations {
  /** Whether `report` or `end` was called. */
  readonly isUsed: boolean;
  /** @param metadataFor Makes the metadata, a serialized Any. */
  report(
    name: string,
    method: LongRunningMethod,
    metadataFor: (record: OperationRecord) => Uint8Array,
  ): Promise<{ cancelRequested: boolean }>;
  /** @param method The method that must have started the operation; undefined for any. */
  end(
    name: string,
    method: LongRunningMethod | undefined,
    result: StoredResult,
  ): Promise<Operation>;
}

export function createExternalOperations(
  store: OperationStore,
  writer: Pick<OperationWriter, "write">,
  toView: ToView,
): ExternalOperations {
  let isUsed = false;
  const find = async (
    name: string,
    method: LongRunningMethod | undefined,
  ): Promise<OperationRecord> => {
    isUsed = true;
    const record = await store.get(name);
    if (record === undefined) throw operationNotFound(name);
    if (!record.external) throw operationNotExternal(name);
    if (method !== undefined && record.method !== fullName(method.method)) {
      throw operationOfOtherMethod(name, record.method);
    }
    return record;
  };
  return {
    get isUsed() {
      return isUsed;
    },
    async report(name, method, metadataFor) {
      const record = await find(name, method);
      const written = await store.report(record, { metadata: metadataFor(record) });
      if (written === undefined) throw operationDone(name);
      return { cancelRequested: written.cancelRequestTimeMicros !== undefined };
    },
    async end(name, method, result) {
      const record = await find(name, method);
      const done = await writer.write(
        (transaction) => store.finish(record, result, undefined, { transaction }),
        () => "done",
        { found: record },
      );
      if (done === undefined) throw operationDone(name);
      return operationMessage(toView(done));
    },
  };
}
