import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Code } from "@connectrpc/connect";

/** A replica's messages to the test that forked it: that it listens, and events of operations. */
export type ReplicaMessage = { readonly kind: "listening"; readonly port: number } | ReplicaEvent;

export type ReplicaEvent =
  | {
      readonly kind: "claimed";
      readonly name: string;
      readonly attempt: number;
      /** The attempt's checkpoint, byte by byte. */
      readonly checkpoint: readonly number[] | undefined;
    }
  | { readonly kind: "checkpoint-saved"; readonly name: string }
  | { readonly kind: "aborted"; readonly name: string; readonly code: Code }
  | { readonly kind: "attempt-lost"; readonly name: string };

/** A server process that shares a database with others. */
export interface Replica {
  readonly baseUrl: string;
  readonly processId: number | undefined;
  /** The first such event of an operation, past or to come. */
  heard<K extends ReplicaEvent["kind"]>(
    kind: K,
    name: string,
  ): Promise<Extract<ReplicaEvent, { kind: K }>>;
  /** Send a signal of the operating system's. */
  kill(signal: NodeJS.Signals): void;
  /** Have it shut down in order; resolves with its exit code. */
  shutdown(): Promise<number | null>;
  /** Make sure that nothing is left of it. */
  [Symbol.asyncDispose](): Promise<void>;
}

const ownProgram = fileURLToPath(new URL("./replica-program.ts", import.meta.url));

/**
 * Starts a replica, and resolves when it listens.
 *
 * @param program The replica-program.ts of another version of this repository.
 */
export async function startReplica(
  databaseUrl: string,
  role: "worker" | "api",
  program: string = ownProgram,
): Promise<Replica> {
  const child = fork(program, [databaseUrl, role], {
    execArgv: ["--import", import.meta.resolve("tsx")],
  });
  const exited = once(child, "exit");
  const messages: ReplicaMessage[] = [];
  const arrivals = new EventEmitter();
  child.on("message", (message: ReplicaMessage) => {
    messages.push(message);
    arrivals.emit("message");
  });
  const first = async <M extends ReplicaMessage>(
    isMeant: (message: ReplicaMessage) => message is M,
  ) => {
    for (;;) {
      const found = messages.find(isMeant);
      if (found !== undefined) return found;
      await Promise.race([once(arrivals, "message"), failWhenGone(child, exited)]);
    }
  };
  const { port } = await first((message) => message.kind === "listening");
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    processId: child.pid,
    heard: <K extends ReplicaEvent["kind"]>(kind: K, name: string) =>
      first(
        (message): message is Extract<ReplicaEvent, { kind: K }> =>
          message.kind === kind && message.name === name,
      ),
    kill: (signal) => child.kill(signal),
    async shutdown() {
      child.send("shut down");
      await exited;
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

async function failWhenGone(child: ChildProcess, exited: Promise<unknown>): Promise<never> {
  await exited;
  throw new Error(`the replica has ended: ${child.exitCode ?? child.signalCode}`);
}
