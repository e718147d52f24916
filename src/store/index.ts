export type { WildcardPieces } from "../internal/wildcard.js";
export type {
  Delivery,
  DispatchedOperation,
  Dispatcher,
  ServeOptions,
  Settlement,
  StopOptions,
} from "./dispatcher.js";
export { type CreateTimeRange, createTimeRange, requiredDone } from "./filter-bounds.js";
export {
  createInProcessDispatcher,
  type InProcessDispatcherOptions,
} from "./memory/in-process-dispatcher.js";
export { createInProcessSignals } from "./memory/in-process-signals.js";
export { createMemoryStore, type MemoryStoreOptions } from "./memory/memory-store.js";
export {
  type ColumnCondition,
  type FilterableRecord,
  type FilterLeaf,
  matchesFilter,
  type OperationFilter,
  type TextColumn,
  type TimeColumn,
} from "./operation-filter.js";
export type {
  CancelOptions,
  Claim,
  ClaimOptions,
  GetOptions,
  HideOptions,
  InsertOptions,
  InsertOutcome,
  ListCursor,
  ListPage,
  ListQuery,
  NewOperation,
  OperationRecord,
  OperationState,
  OperationStore,
  OperatorAccess,
  Overdue,
  OverdueResults,
  ParallelPolicy,
  RefusedInsert,
  Report,
  StoredRequestId,
  StoredResult,
  StoreOptions,
  Together,
  TraceContext,
  Transaction,
  UnfinishedQuery,
} from "./operation-store.js";
export type {
  InspectedDelivery,
  InspectedPayload,
  LossCause,
  LostAttempt,
  OperationInspection,
  OperationsOperator,
  RequeueOutcome,
  RunningOperationReport,
  WorkerReport,
} from "./operator.js";
export type {
  PayloadCondition,
  PayloadStep,
  PayloadTest,
  SerializedPayloads,
} from "./payload-condition.js";
export type { SignalKind, Signals, Unsubscribe } from "./signals.js";
export type { Comparator, JsonLiteral, JsonTest, PlainValue, ValueTest } from "./value-test.js";
export type { WorkerIdentity } from "./worker-identity.js";
