import type { Output } from "../../../src/cli/terminal.js";

/** An output that keeps what was written. */
export interface RecordedOutput extends Output {
  /** All of it, or what came since the last time. */
  taken(): string;
}

export function recordedOutput(init: Partial<Output> = {}): RecordedOutput {
  let text = "";
  return {
    isTerminal: false,
    hasColors: false,
    columns: 80,
    ...init,
    write(more) {
      text += more;
    },
    taken() {
      const all = text;
      text = "";
      return all;
    },
  };
}
