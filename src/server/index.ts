export type { CloseOptions, ClosingState } from "../internal/closing.js";
export {
  createLog,
  type LogEvent,
  type Logger,
  type LogOptions,
} from "../internal/event-log.js";
export {
  createShards,
  type ShardParts,
  type ShardsOptions,
} from "../store/shards/create-shards.js";
export type {
  Authorization,
  Authorize,
  AuthorizedOperation,
  OperationsAction,
  OperationsCall,
} from "./authorize.js";
export {
  type CheckpointFormat,
  jsonCheckpoint,
  messageCheckpoint,
} from "./checkpoint-format.js";
export { createOperations } from "./create-operations.js";
export type { OperationsEvent } from "./events.js";
export type {
  CreateOptions,
  DeleteRunning,
  MethodOptions,
  Parallel,
  Recovery,
  RetryOptions,
  StartContext,
} from "./method-options.js";
export type {
  ObservedAttempt,
  ObservedEnd,
  ObservedOperation,
  ObservedRetry,
  ObservedRpc,
  ObservedRun,
  ObservedStart,
  ObservedWake,
  OperationsObserver,
  RunObservation,
} from "./observer.js";
export type {
  OperationsOptions,
  OperationsServer,
  OperationTimes,
  StartHandler,
} from "./operations-server.js";
export type { Continuation, ContinueOptions, RunningOperation, Work } from "./work.js";
