export {
  createLongRunningClient,
  type LongRunningClient,
  type StartMethod,
} from "./long-running-client.js";
export { OperationError, type OperationErrorKind } from "./operation-error.js";
export type { OperationHandle, Snapshot } from "./operation-handle.js";
export type { ListRequest, OperationList } from "./operation-list.js";
export {
  type ClientOptions,
  createOperationsClient,
  type OperationsClient,
} from "./operations-client.js";
export type { PollOptions } from "./poll-options.js";
