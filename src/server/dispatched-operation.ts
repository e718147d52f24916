import type { DispatchedOperation } from "../store/dispatcher.js";
import type { OperationRecord } from "../store/operation-store.js";

/** A record as a dispatcher takes it; who started it counts as its tenant, or else its parent. */
export function dispatchedOperation({
  name,
  method,
  principal,
  parent,
}: OperationRecord): DispatchedOperation {
  return { name, method, tenant: principal === "" ? parent : principal };
}
