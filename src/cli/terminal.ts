/** An output stream of the command. */
export interface Output {
  write(text: string): void;
  /** Whether the output is a terminal, whose lines may be redrawn. */
  readonly isTerminal: boolean;
  /** Whether the output may have colors. */
  readonly hasColors: boolean;
  /** The characters in a line, which change with the window. */
  readonly columns: number;
}

/** The two outputs of the command: `out` for results, `err` for progress, notes and errors. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

/** The width of a terminal that does not report one. */
const defaultColumns = 80;

/** A stream of Node, such as `process.stdout`. */
export interface WritableOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * Makes the outputs of a process. Only terminals have colors, unless NO_COLOR is set to any value
 * (no-color.org) or TERM is `dumb`.
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
