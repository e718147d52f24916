export type { ClientOptions } from "./client-options.js";
export { type Filter, type FilterValue, filter } from "./filter.js";
export {
  createLongRunningClient,
  type LongRunningClient,
  type StartMethod,
} from "./long-running-client.js";
export type { ObservedWait, WaitEnd, WaitObservation, WaitObserver } from "./observer.js";
export { OperationError, type OperationErrorKind, type WaitReport } from "./operation-error.js";
export type { OperationHandle } from "./operation-handle.js";
export type { ListRequest, OperationList } from "./operation-list.js";
export { createOperationsClient, type OperationsClient } from "./operations-client.js";
export { type BackoffOptions, createBackoff, type PollPolicy } from "./poll-policy.js";
export type { ResumeToken } from "./resume-token.js";
export type { FinalSnapshot, Snapshot } from "./snapshot.js";
export type { StartOptions } from "./start-operation.js";
export type { WaitOptions, WatchOptions } from "./wait-options.js";
export { type OperationUpdate, type WatchAllOptions, watchAll } from "./watch-all.js";
