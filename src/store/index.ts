export type { Delivery, DispatchedOperation, Dispatcher, Settlement } from "./dispatcher.js";
export {
  createInProcessDispatcher,
  type InProcessDispatcherOptions,
} from "./memory/in-process-dispatcher.js";
export { createInProcessSignals } from "./memory/in-process-signals.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory/memory-store.js";
export type {
  CancelOptions,
  Claim,
  HideOptions,
  InsertOptions,
  InsertOutcome,
  ListCursor,
  ListPage,
  ListQuery,
  NewOperation,
  OperationFilter,
  OperationRecord,
  OperationState,
  OperationStore,
  Overdue,
  OverdueResults,
  ParallelPolicy,
  Report,
  StoredRequestId,
  StoredResult,
  StoreOptions,
  Transaction,
  UnfinishedQuery,
} from "./operation-store.js";
export type { SignalKind, Signals, Unsubscribe } from "./signals.js";
