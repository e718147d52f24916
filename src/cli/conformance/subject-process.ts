import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";
import type { WorkState } from "../../conformance/index.js";
import { subjectNotReady } from "../errors.js";
import type { ProcessOptions } from "./subject-file.js";

/** A subject that the command started. */
export interface SubjectProcess {
  /** Port for `{{port}}`. */
  readonly port: string;
  /** Last output, at most 8,192 characters. */
  output(): string;
  hasEnded(): boolean;
  /** Ends the process by the restart signal, and starts it again on the same port. */
  restart(): Promise<void>;
  /** Ends the process and its children. */
  stop(): Promise<void>;
}

const maxOutput = 8192;

/** Time for an orderly end, in milliseconds, before SIGKILL. */
const stopMs = 5000;

/** Interval between two attempts to connect, in milliseconds. */
const pollMs = 50;

/**
 * Starts a subject and waits until it is ready.
 *
 * @throws CommanderError if it ends, or is not ready in time.
 */
export async function startSubject(options: ProcessOptions): Promise<SubjectProcess> {
  const usesPort = options.command.some((word) => word.includes("{{port}}"));
  let port = usesPort ? await freePort() : "";
  let child: ChildProcess | undefined;
  let output = "";
  let isStopping = false;

  const start = async () => {
    const [program = "", ...args] = options.command.map((word) =>
      word.replaceAll("{{port}}", port),
    );
    isStopping = false;
    const started = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...filled(options.env, port) },
      // The program gets its own process group, so that its children end with it.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    const ready = readiness(options, () => port);
    const onText = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-maxOutput);
      const found = ready.match(output);
      if (found?.groups?.port !== undefined && port === "") port = found.groups.port;
    };
    started.stdout?.on("data", onText);
    started.stderr?.on("data", onText);
    const failed = new Promise<never>((_, reject) => {
      started.on("error", (cause) => reject(subjectNotReady(program, cause.message, output)));
      // The "close" event is used because "exit" may come before the last output.
      started.on("close", (code, signal) => {
        const how = signal === null ? `the exit code ${code}` : `the signal ${signal}`;
        if (!isStopping) reject(subjectNotReady(program, `it ended with ${how}`, output));
      });
    });
    failed.catch(() => undefined);
    const isReady = await Promise.race([ready.wait(), failed]);
    if (!isReady) {
      await end(started, "SIGKILL");
      throw subjectNotReady(program, `it was not ready within ${options.readyMs} ms`, output);
    }
  };

  const end = async (ended: ChildProcess, signal: string) => {
    isStopping = true;
    if (ended.exitCode !== null || ended.signalCode !== null) return;
    const exited = once(ended, "exit");
    killGroup(ended, signal);
    const timer = setTimeout(() => killGroup(ended, "SIGKILL"), stopMs);
    await exited;
    clearTimeout(timer);
    // Ends the children that outlived their parent.
    killGroup(ended, "SIGKILL");
  };

  await start();
  return {
    get port() {
      return port;
    },
    output: () => output,
    hasEnded: () =>
      !isStopping && child !== undefined && (child.exitCode !== null || child.signalCode !== null),
    async restart() {
      if (child !== undefined) await end(child, options.restart ?? "SIGKILL");
      await start();
    },
    async stop() {
      if (child !== undefined) await end(child, options.stop);
    },
  };
}

/** Returns a probe by a command that prints `running`, `ended` or `stopped`. */
export function probeBy(command: readonly string[], cwd: string) {
  return async (name: string): Promise<WorkState | undefined> => {
    const [program = "", ...args] = command.map((word) => word.replaceAll("{{name}}", name));
    const { stdout } = await promisify(execFile)(program, args, { cwd, timeout: 10_000 });
    const state = stdout.trim();
    return state === "running" || state === "ended" || state === "stopped" ? state : undefined;
  };
}

/** Decides when the subject is ready: by a line of its output, or by its open port. */
function readiness({ readyLine, readyMs }: ProcessOptions, portOf: () => string) {
  const pattern = readyLine === undefined ? undefined : new RegExp(readyLine, "m");
  let onLine: () => void = () => undefined;
  const line = new Promise<void>((resolve) => {
    onLine = resolve;
  });
  return {
    match(output: string): RegExpExecArray | null {
      const found = pattern?.exec(output) ?? null;
      if (found !== null) onLine();
      return found;
    },
    async wait(): Promise<boolean> {
      const endMs = performance.now() + readyMs;
      if (pattern !== undefined) {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<false>((resolve) => {
          timer = setTimeout(() => resolve(false), readyMs);
        });
        const isReady = await Promise.race([line.then(() => true), late]);
        clearTimeout(timer);
        return isReady;
      }
      while (performance.now() < endMs) {
        if (portOf() === "" || (await isOpen(portOf()))) return true;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
      return false;
    },
  };
}

function isOpen(port: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<string> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? String(address.port) : "";
}

function killGroup({ pid }: ChildProcess, signal: string): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The process group has ended already.
  }
}

function filled(env: Readonly<Record<string, string>>, port: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replaceAll("{{port}}", port)]),
  );
}
