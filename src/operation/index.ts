export {
  type LongRunningMethod,
  longRunning,
  type OperationDesc,
  type OperationTypes,
} from "./long-running.js";
export { formatOperationName, type OperationName, parseOperationName } from "./name.js";
export { type Outcome, outcomeOf, type Progress } from "./outcome.js";
