import type { Output } from "../../../src/cli/terminal.js";

/** An output that keeps the text written to it. */
export interface RecordedOutput extends Output {
  /** The whole text, or the text since the last call. */
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
