import type { Clock } from "../internal/clock.js";
import type { Terminal } from "./terminal.js";

/** The environment of a command, so that tests can replace it. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Standard input, read by `mcp` alone. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly clock: Clock;
  /** The package's version. */
  readonly version: string;
  /** Calls back on each SIGINT and SIGTERM, instead of ending, until the returned function is called. */
  readonly onSignal: (listener: () => void) => () => void;
  /** Ends the process at once, without waiting for calls. */
  readonly exitNow: (code: number) => void;
}
