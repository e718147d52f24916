import type { NewOperation } from "../../src/store/index.js";

let count = 0;

/** An operation with a name of its own. */
export function anInsert(init: Partial<NewOperation> = {}): NewOperation {
  count += 1;
  return {
    name: `operations/${count}`,
    parent: "",
    method: "printing.v1.PrintService/Print",
    principal: "",
    external: false,
    request: new Uint8Array(),
    metadata: undefined,
    result: undefined,
    retentionMs: 1000,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
    ...init,
  };
}
