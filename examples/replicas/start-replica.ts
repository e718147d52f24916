import { fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";

/** The messages of a replica to the process that forked it. */
export type ReplicaEvent =
  | { readonly kind: "listening"; readonly url: string }
  | {
      readonly kind: "began";
      readonly name: string;
      readonly attempt: number;
      /** How many files its checkpoint has. */
      readonly filesDone: number;
    }
  | {
      readonly kind: "saved";
      readonly name: string;
      readonly filesDone: number;
      readonly filesTotal: number;
    };

/** A replica in a process of its own. */
export interface Replica {
  readonly url: string;
  readonly pid: number | undefined;
  /**
   * The first event of a kind that is as wanted, past or to come.
   *
   * @throws Error if the process ends before.
   */
  heard<K extends ReplicaEvent["kind"]>(
    kind: K,
    isWanted?: (event: Extract<ReplicaEvent, { kind: K }>) => boolean,
  ): Promise<Extract<ReplicaEvent, { kind: K }>>;
  /** Ends it with SIGKILL, which it cannot handle. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Have it shut down in order. Resolves when it is gone. */
  close(): Promise<void>;
}

/** Start a replica. Resolves when it listens. */
export async function startReplica(databaseUrl: string, role: "api" | "worker"): Promise<Replica> {
  const program = fileURLToPath(new URL("./replica.ts", import.meta.url));
  const child = fork(program, [databaseUrl, role], {
    execArgv: ["--import", import.meta.resolve("tsx")],
  });
  const exited = once(child, "exit");
  const events: ReplicaEvent[] = [];
  const arrivals = new EventEmitter();
  // Each who waits listens.
  arrivals.setMaxListeners(0);
  child.on("message", (event: ReplicaEvent) => {
    events.push(event);
    arrivals.emit("event");
  });
  const hasEnded = exited.then(() => {
    throw new Error(`a replica has ended: ${child.exitCode ?? child.signalCode}`);
  });
  hasEnded.catch(() => undefined);

  const heard: Replica["heard"] = async (kind, isWanted = () => true) => {
    type Wanted = Extract<ReplicaEvent, { kind: typeof kind }>;
    const isIt = (event: ReplicaEvent): event is Wanted => event.kind === kind;
    for (;;) {
      const found = events.filter(isIt).find((event) => isWanted(event));
      if (found !== undefined) return found;
      await Promise.race([once(arrivals, "event"), hasEnded]);
    }
  };
  const { url } = await heard("listening");
  return {
    url,
    pid: child.pid,
    heard,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async close() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
