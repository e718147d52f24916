import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process of the run that can be killed, paused and started again. */
export interface ReplicaProcess {
  readonly port: number;
  isPaused(): boolean;
  /** Kill it, and have another in its place when this resolves. */
  killAndRestart(): Promise<void>;
  pause(): void;
  resume(): void;
  end(): Promise<void>;
}

/** The program of a replica. */
export interface ReplicaProgram {
  readonly path: string;
  readonly argumentsOf: (role: string, databaseUrls: readonly string[]) => string[];
}

const ownProgram: ReplicaProgram = {
  path: fileURLToPath(new URL("./replica.ts", import.meta.url)),
  argumentsOf: (role, databaseUrls) => [role, ...databaseUrls],
};

/**
 * @param onStaleWrite Called whenever the process was refused a write of a lost attempt.
 * @param program Default: that of this version.
 */
export async function startReplicaProcess(
  databaseUrls: readonly string[],
  role: "worker" | "api",
  onStaleWrite: () => void,
  program = ownProgram,
): Promise<ReplicaProcess> {
  let isPaused = false;
  let { child, port } = await start(program, databaseUrls, role, onStaleWrite);
  const kill = async () => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return {
    get port() {
      return port;
    },
    isPaused: () => isPaused,
    async killAndRestart() {
      await kill();
      ({ child, port } = await start(program, databaseUrls, role, onStaleWrite));
    },
    pause() {
      isPaused = true;
      child.kill("SIGSTOP");
    },
    resume() {
      isPaused = false;
      child.kill("SIGCONT");
    },
    end: kill,
  };
}

/** Fork until one listens: the database may be away just then. */
async function start(
  program: ReplicaProgram,
  databaseUrls: readonly string[],
  role: string,
  onStaleWrite: () => void,
): Promise<{ child: ChildProcess; port: number }> {
  for (;;) {
    const child = fork(program.path, program.argumentsOf(role, databaseUrls), {
      execArgv: ["--import", import.meta.resolve("tsx")],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child.on("message", (message) => {
      if (kindOf(message) === "stale-write") onStaleWrite();
    });
    const [message] = await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => [undefined]),
    ]);
    if (typeof message === "object" && message !== null && "port" in message) {
      return { child, port: Number(message.port) };
    }
  }
}

function kindOf(message: unknown): unknown {
  return typeof message === "object" && message !== null && "kind" in message && message.kind;
}
