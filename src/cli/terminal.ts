/** A stream that text goes to, as far as the command needs to know it. */
export interface Output {
  write(text: string): void;
  /** Whether a person looks at it: lines may be drawn anew. */
  readonly isTerminal: boolean;
  /** Whether it may be coloured. */
  readonly hasColors: boolean;
  /** Characters in a line. It changes when the window does. */
  readonly columns: number;
}

/** The two outputs of the command: results, and all else (progress, notes, errors). */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

/** Assumed where a terminal does not tell its width. */
const defaultColumns = 80;

/** What is needed of a stream of Node's; `process.stdout` is one. */
export interface WritableOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * The outputs of a process. Colours are for terminals only, and not where NO_COLOR is set to
 * anything (no-color.org) or TERM is `dumb`.
 */
export function createTerminal(
  out: WritableOutput,
  err: WritableOutput,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const isPlain = (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb";
  const outputOf = (stream: WritableOutput): Output => {
    const isTerminal = stream.isTTY === true && env.TERM !== "dumb";
    return {
      write: (text) => void stream.write(text),
      isTerminal,
      hasColors: isTerminal && !isPlain,
      get columns() {
        return stream.columns || defaultColumns;
      },
    };
  };
  return { out: outputOf(out), err: outputOf(err) };
}
