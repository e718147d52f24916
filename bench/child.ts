import { type ChildProcess, fork } from "node:child_process";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ChildAnswer, ChildArgument, ChildAsk, ChildMessage } from "./child-messages.js";

/** A process of a subject. */
export interface Child {
  /** Where it listens; undefined for one that does not. */
  readonly port: number | undefined;
  /** Rejects if the child says that it failed, or is gone. */
  ask<A extends ChildAsk>(ask: A, ...argument: ChildArgument<A>): Promise<ChildAnswer<A>>;
  /** Have it exit, and wait until it did. */
  stop(): Promise<void>;
}

/** Set to a folder, it makes every child leave a CPU profile there. `--cpu-prof` of run.ts does. */
export const profileFolderVariable = "BENCH_CPU_PROF";

const startTimeoutMs = 30_000;

/** The questions that wait for a reply. */
interface Asked {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/**
 * Run a module in a process of its own, TypeScript under tsx, and wait until it is ready.
 *
 * @throws Error if it exits, or is not ready within 30 seconds.
 */
export async function startChild(module: URL): Promise<Child> {
  const name = basename(fileURLToPath(module));
  const child = fork(module, {
    execArgv: [
      ...(name.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : []),
      "--expose-gc",
      ...profileArguments(name),
    ],
    // Bytes travel as bytes.
    serialization: "advanced",
  });
  const asked = new Map<number, Asked>();
  let lastId = 0;
  let end: Error | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      end = gone(name, code, signal);
      for (const { reject } of asked.values()) reject(end);
      resolve();
    });
  });
  // Where sending fails the child is gone or about to go, and its exit is what tells.
  const send = (id: number, ask: ChildAsk | "stop", argument?: unknown) =>
    child.send({ id, ask, argument }, () => undefined);

  const port = await ready(child, name);
  child.on("message", (message: ChildMessage) => {
    if (message.kind === "ready") return;
    const waiting = asked.get(message.id);
    asked.delete(message.id);
    if (message.kind === "reply") waiting?.resolve(message.answer);
    else waiting?.reject(new Error(`${name}: ${message.message}`));
  });

  return {
    port,
    async ask<A extends ChildAsk>(ask: A, ...[argument]: ChildArgument<A>) {
      if (end !== undefined) throw end;
      const id = ++lastId;
      const answer = await new Promise<unknown>((resolve, reject) => {
        asked.set(id, { resolve, reject });
        send(id, ask, argument);
      });
      return answer as ChildAnswer<A>;
    },
    async stop() {
      send(++lastId, "stop");
      await exited;
    },
  };
}

/** Resolves with the port that the child's first message tells. */
function ready(child: ChildProcess, name: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${name} is not ready after ${startTimeoutMs} ms`));
    }, startTimeoutMs);
    const onExit = (code: number | null, signal: string | null) => {
      clearTimeout(timer);
      reject(gone(name, code, signal));
    };
    child.once("exit", onExit);
    child.once("message", (message: ChildMessage) => {
      clearTimeout(timer);
      child.off("exit", onExit);
      resolve(message.kind === "ready" ? message.port : undefined);
    });
  });
}

function gone(name: string, code: number | null, signal: string | null): Error {
  return new Error(`${name} is gone, ${signal === null ? `exit code ${code}` : `by ${signal}`}`);
}

function profileArguments(name: string): string[] {
  const folder = process.env[profileFolderVariable];
  if (folder === undefined) return [];
  // A folder each, as the names of the files say nothing, and one process leaves several: tsx runs
  // a thread of its own.
  return ["--cpu-prof", `--cpu-prof-dir=${join(folder, name)}`];
}
