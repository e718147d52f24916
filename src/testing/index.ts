export type { ContractCase } from "./contract.js";
export { dispatcherContract } from "./dispatcher-contract.js";
export { createManualClock, type ManualClock } from "./manual-clock.js";
export { signalsContract } from "./signals-contract.js";
export { storeContract } from "./store-contract.js";
