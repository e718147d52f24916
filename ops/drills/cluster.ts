import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CertificateFiles } from "../../examples/tls/server.js";
import { freePort } from "../../test/support/postgres/free-port.js";
import { startPostgres } from "../../test/support/postgres/start-postgres.js";
import { type LoadBalancer, startHaproxy, startNginx } from "../../test/support/proxies.js";
import type { ReplicaEvent, ReplicaSettings } from "./replica-settings.js";

/** A replica that may be stopped and started again on its port. */
export interface Replica {
  readonly settings: ReplicaSettings;
  /** Starts it. Resolves when it listens. */
  start(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code when the process has ended; null if a signal ended it. */
  ended(): Promise<number | null>;
}

/** Three replicas on one PostgreSQL, behind HAProxy and nginx. */
export interface Cluster {
  readonly databaseUrl: string;
  readonly replicas: readonly Replica[];
  readonly proxies: readonly [haproxy: LoadBalancer, nginx: LoadBalancer];
  /** Resolves with the first such event, past or to come, and its replica. Rejects after `limitMs`. */
  heard<K extends ReplicaEvent["kind"]>(
    kind: K,
    isWanted: (event: Extract<ReplicaEvent, { kind: K }>) => boolean,
    limitMs: number,
  ): Promise<{ replica: Replica; atMs: number }>;
  stop(): Promise<void>;
}

/** Settings of a cluster; those of its replicas without the ones that it chooses. */
export interface ClusterSettings
  extends Pick<ReplicaSettings, "maxWaitMs" | "maxConcurrent" | "graceMs" | "drainDelayMs"> {
  /** Time-out of the proxies for a silent call. */
  readonly idleMs: number;
  /** Time between two probes of HAProxy. */
  readonly checkMs: number;
  readonly certificates?: CertificateFiles | undefined;
}

/** Starts a cluster. Resolves when both proxies reach all replicas. */
export async function startCluster(settings: ClusterSettings): Promise<Cluster> {
  const { idleMs, checkMs, certificates, ...common } = settings;
  const database = await startPostgres(false);
  const heard: { event: ReplicaEvent; replica: Replica; atMs: number }[] = [];
  const arrivals = new EventEmitter();
  arrivals.setMaxListeners(0);
  const replicas: Replica[] = [];
  const stops: (() => Promise<unknown>)[] = [() => database.stop()];
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    for (let at = 0; at < 3; at += 1) {
      const tls = certificates && { port: await freePort(), files: certificates };
      const replica = createReplica(
        { ...common, databaseUrl: database.url, port: await freePort(), tls },
        (event) => {
          heard.push({ event, replica, atMs: performance.now() });
          arrivals.emit("event");
        },
      );
      replicas.push(replica);
      stops.push(async () => {
        replica.kill("SIGKILL");
        await replica.ended();
      });
      // The first one sets the schemas up.
      await replica.start();
    }
    const ports = replicas.map((replica) => replica.settings.port);
    const haproxy = await startHaproxy({ ports, idleMs, checkMs });
    stops.push(() => haproxy.stop());
    const nginx = await startNginx({ ports, idleMs });
    stops.push(() => nginx.stop());
    return {
      databaseUrl: database.url,
      replicas,
      proxies: [haproxy, nginx],
      async heard(kind, isWanted, limitMs) {
        type Wanted = Extract<ReplicaEvent, { kind: typeof kind }>;
        const isIt = (event: ReplicaEvent): event is Wanted => event.kind === kind;
        const signal = AbortSignal.timeout(limitMs);
        for (;;) {
          const found = heard.find(({ event }) => isIt(event) && isWanted(event));
          if (found !== undefined) return found;
          await once(arrivals, "event", { signal }).catch((cause: unknown) => {
            throw new Error(`no replica has reported "${kind}" within ${limitMs} ms`, { cause });
          });
        }
      },
      stop,
    };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

function createReplica(
  settings: ReplicaSettings,
  received: (event: ReplicaEvent) => void,
): Replica {
  let child: ChildProcess | undefined;
  let exited: Promise<unknown> = Promise.resolve();
  return {
    settings,
    async start() {
      const program = fileURLToPath(new URL("./replica.ts", import.meta.url));
      const started = fork(program, [JSON.stringify(settings)], {
        execArgv: ["--import", import.meta.resolve("tsx")],
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      child = started;
      exited = once(started, "exit");
      const listening = new Promise<void>((resolve, reject) => {
        started.on("message", (event: ReplicaEvent) => {
          if (event.kind === "listening") resolve();
          received(event);
        });
        exited.then(() => reject(new Error("a replica has ended before it listened")));
      });
      await listening;
    },
    kill: (signal) => void child?.kill(signal),
    async ended() {
      await exited;
      return child?.exitCode ?? null;
    },
  };
}
