/** How a command ended, and its whole output. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs, in a process of its own or in this one. */
export interface RunningCommand {
  readonly ended: Promise<Ended>;
  /** Resolves with the match as soon as the output matches; rejects if the command ends first. */
  wrote(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray>;
  /** Does what SIGINT and SIGTERM do. */
  interrupt(): void;
}

/** A command's output so far, and its waiters for more. */
export interface WrittenText {
  readonly stdout: string;
  readonly stderr: string;
  add(stream: "stdout" | "stderr", text: string): void;
  /** Resolves with the match, see `RunningCommand`. */
  wrote(
    stream: "stdout" | "stderr",
    pattern: RegExp,
    ended: Promise<Ended>,
  ): Promise<RegExpExecArray>;
}

export function createWrittenText(): WrittenText {
  const written = { stdout: "", stderr: "" };
  const looks = new Set<() => void>();
  return {
    get stdout() {
      return written.stdout;
    },
    get stderr() {
      return written.stderr;
    },
    add(stream, text) {
      written[stream] += text;
      for (const look of looks) look();
    },
    wrote(stream, pattern, ended) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(written[stream]);
          if (match === null) return;
          looks.delete(look);
          resolve(match);
        };
        looks.add(look);
        look();
        ended.then((end) => reject(new Error(`ended without ${pattern}: ${JSON.stringify(end)}`)));
      });
    },
  };
}
