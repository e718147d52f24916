export {
  type LongRunningMethod,
  type LongRunningMethodsOf,
  longRunning,
  longRunningMethodsOf,
  type OperationDesc,
  type OperationTypes,
  type StartingMethod,
} from "./long-running.js";
export { formatOperationName, type OperationName, parseOperationName } from "./name.js";
export { type Outcome, type OutcomeOptions, outcomeOf, type Progress } from "./outcome.js";
