import { execFile } from "node:child_process";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { headerCommandFailed } from "./errors.js";

/** Longest run of the command, in milliseconds. */
const commandTimeoutMs = 10_000;

/** Most bytes that the command may print. */
const maxOutputBytes = 64 * 1024;

type Headers = readonly (readonly [name: string, value: string])[];

/**
 * Runs a command that prints headers, and returns an interceptor that adds them to each call. If
 * the server responds with UNAUTHENTICATED, the interceptor runs the command again and repeats the
 * call once, unless it is a stream. If the repeated command fails, the call fails with UNAVAILABLE,
 * which a wait tolerates.
 *
 * @param words The program and its arguments. They are not given to a shell.
 * @throws CommanderError if the first run fails.
 */
export async function withHeaderCommand(words: readonly string[]): Promise<Interceptor> {
  let headers = await run(words);
  let refreshing: Promise<void> | undefined;
  const refresh = () => {
    refreshing ??= run(words)
      .then((fresh) => {
        headers = fresh;
      })
      .catch((cause: unknown) => {
        const message = cause instanceof Error ? cause.message : "the header command failed";
        throw new ConnectError(message, Code.Unavailable, undefined, undefined, cause);
      })
      .finally(() => {
        refreshing = undefined;
      });
    return refreshing;
  };
  return (next) => async (request) => {
    const used = headers;
    for (const [name, value] of used) request.header.set(name, value);
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unauthenticated || request.stream) throw error;
      if (headers === used) await refresh();
      for (const [name, value] of headers) request.header.set(name, value);
      return next(request);
    }
  };
}

/** Runs the command once. */
function run(words: readonly string[]): Promise<Headers> {
  const [program = "", ...args] = words;
  const options = { timeout: commandTimeoutMs, maxBuffer: maxOutputBytes, windowsHide: true };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout) => {
      if (error !== null) {
        reject(headerCommandFailed(program, reasonOf(error)));
        return;
      }
      try {
        resolve(parseHeaders(stdout));
      } catch {
        // The output may be a secret, so the message does not show it.
        reject(headerCommandFailed(program, "it printed a line that is not `name: value`"));
      }
    });
  });
}

function reasonOf(error: Error & { code?: unknown; killed?: boolean }): string {
  if (error.killed) return `it took more than ${commandTimeoutMs / 1000} s, or printed too much`;
  if (typeof error.code === "number") return `it exited with ${error.code}`;
  return `it cannot be run (${String(error.code)})`;
}

/** @throws Error if a line is not a header. */
function parseHeaders(output: string): Headers {
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new Error("no line");
  return lines.map((line) => {
    const [, name = "", value = ""] = /^([^:\s]+):\s*(.*?)\s*$/.exec(line) ?? [];
    // `Headers` validates the characters of the name and the value.
    new globalThis.Headers([[name, value]]);
    return [name, value] as const;
  });
}

/**
 * Splits a command line into words at white space. Single or double quotes keep white space; nothing
 * else has a special meaning.
 */
export function splitWords(line: string): string[] {
  return Array.from(line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g), ([word]) =>
    word.replace(
      /'([^']*)'|"([^"]*)"/g,
      (_, single: string | undefined, double: string | undefined) => single ?? double ?? "",
    ),
  );
}
