import type { Clock } from "../internal/clock.js";
import type { Terminal } from "./terminal.js";

/** What of the world a command gets to see, so that tests can put something else in its place. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Standard input, read by `mcp` alone. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly clock: Clock;
  /** The package's version. */
  readonly version: string;
  /** Call back on each SIGINT and SIGTERM, in place of ending, until the returned function is called. */
  readonly onSignal: (listener: () => void) => () => void;
  /** End the process, whatever is under way. */
  readonly exitNow: (code: number) => void;
}
