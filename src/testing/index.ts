export type { ContractCase } from "./contract.js";
export { dispatcherContract } from "./dispatcher-contract.js";
export { createManualClock, type ManualClock } from "./manual-clock.js";
export type {
  CancelScript,
  OperationScript,
  Poll,
  PollScript,
  ScriptedFailure,
  ScriptedState,
  StartScript,
} from "./operation-script.js";
export {
  createScriptedOperations,
  type OperationsMethodName,
  type ScriptedCall,
  type ScriptedOperations,
  type ScriptedOperationsOptions,
} from "./scripted-operations.js";
export { signalsContract } from "./signals-contract.js";
export { storeContract } from "./store-contract.js";
export {
  createTestOperations,
  type TestOperations,
  type TestOperationsOptions,
} from "./test-operations.js";
