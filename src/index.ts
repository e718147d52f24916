export { pack, typeNameOf, unpackAs, unpackWith } from "./any/index.js";
export {
  type ClientOptions,
  createLongRunningClient,
  createOperationsClient,
  type ListRequest,
  type LongRunningClient,
  OperationError,
  type OperationErrorKind,
  type OperationHandle,
  type OperationList,
  type OperationsClient,
  type PollOptions,
  type Snapshot,
  type StartMethod,
} from "./client/index.js";
export type { Clock } from "./internal/clock.js";
export {
  formatOperationName,
  type LongRunningMethod,
  longRunning,
  type OperationDesc,
  type OperationName,
  type OperationTypes,
  type Outcome,
  outcomeOf,
  type Progress,
  parseOperationName,
} from "./operation/index.js";
export {
  codeFromHttpStatus,
  codeFromName,
  codeName,
  errorFromStatus,
  httpStatusFromCode,
  type StandardDetails,
  standardDetailsOf,
  statusFromError,
} from "./status/index.js";
