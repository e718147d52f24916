export type { ConsoleOptions } from "./console-options.js";
export { createConsole } from "./create-console.js";
