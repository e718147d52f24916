import type { CommandContext } from "../../../src/cli/command-context.js";
import { runProgram } from "../../../src/cli/program.js";
import type { Output } from "../../../src/cli/terminal.js";
import { systemClock } from "../../../src/internal/clock.js";
import { createWrittenText, type Ended, type RunningCommand } from "./running-command.js";

/** Start the command in this process, which costs a hundredth of one of its own. */
export function startCommand(args: readonly string[], init: CommandInit = {}): RunningCommand {
  const written = createWrittenText();
  const outputOf = (stream: "stdout" | "stderr"): Output => ({
    isTerminal: false,
    hasColors: false,
    columns: 80,
    ...init.output,
    write: (text) => written.add(stream, text),
  });
  const listeners = new Set<() => void>();
  const context: CommandContext = {
    terminal: { out: outputOf("stdout"), err: outputOf("stderr") },
    input: init.input ?? noInput(),
    clock: init.clock ?? systemClock,
    version: "1.2.3",
    onSignal(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    exitNow: () => undefined,
  };
  const ended = runProgram(args, context).then((exitCode): Ended => {
    // A process would end in spite of these, but here they would stay for the next command.
    if (listeners.size > 0) throw new Error("the command left listeners of signals behind");
    return { exitCode, stdout: written.stdout, stderr: written.stderr };
  });
  return {
    ended,
    wrote: (stream, pattern) => written.wrote(stream, pattern, ended),
    interrupt() {
      for (const listener of [...listeners]) listener();
    },
  };
}

/** The parts of a command that a test can replace. */
export interface CommandInit {
  /** Overrides for both outputs. Default: a pipe. */
  readonly output?: Partial<Output>;
  /** Default: the system's. */
  readonly clock?: CommandContext["clock"];
  /** Standard input. Default: ends at once. */
  readonly input?: CommandContext["input"];
}

async function* noInput(): AsyncGenerator<Uint8Array, void> {}

/** Run the command to its end, in this process. */
export function runCommand(...args: string[]): Promise<Ended> {
  return startCommand(args).ended;
}
