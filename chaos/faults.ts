import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { PostgresServer } from "../test/support/postgres/start-postgres.js";
import type { Random } from "./random.js";
import type { ReplicaProcess } from "./replicas.js";

/** How often each fault happened. */
export interface FaultCounts {
  /** SIGKILL of a worker. */
  kills: number;
  /** SIGSTOP of a worker for longer than its lease, and SIGCONT. */
  pauses: number;
  /** All connections ended, `pg_terminate_backend`. */
  cuts: number;
  /** PostgreSQL shut down at once, without writing anything, and started again. */
  restarts: number;
  /** Notifications that are repeated, or of events that did not happen. */
  noise: number;
}

/** A PostgreSQL server, with connections of the run itself. */
export interface ChaosDatabase {
  readonly server: PostgresServer;
  readonly pool: pg.Pool;
}

/** The targets of the faults. */
export interface Victims {
  readonly databases: readonly ChaosDatabase[];
  readonly workers: readonly ReplicaProcess[];
}

/** How long a process is stopped, in milliseconds: longer than its lease of 10 s. */
const pauseMs = 12_500;

/** How often each fault is made: exactly, but for `cuts` and `noise`, which may be more. */
export type WantedFaults = Readonly<FaultCounts>;

/** Kills and pauses are the most frequent. */
const weights = { kills: 2, pauses: 3, cuts: 1, restarts: 1, noise: 1 };

/** Make faults until there were as many of each as are wanted, and say how many there were. */
export async function makeFaults(
  { databases, workers }: Victims,
  random: Random,
  wanted: WantedFaults,
): Promise<FaultCounts> {
  const counts: FaultCounts = { kills: 0, pauses: 0, cuts: 0, restarts: 0, noise: 0 };
  const pauses = new Set<Promise<void>>();
  const awake = () => workers.filter((worker) => !worker.isPaused());

  const pause = async (worker: ReplicaProcess) => {
    worker.pause();
    await sleep(pauseMs);
    worker.resume();
  };

  /** The faults that are possible now, each as often as its weight. */
  const possible = () => {
    const isWanted = (kind: keyof FaultCounts) => counts[kind] < wanted[kind];
    const isSomeoneAwake = awake().length > 0;
    const kinds = [
      ...(isWanted("kills") && isSomeoneAwake ? (["kills"] as const) : []),
      ...(isWanted("pauses") && isSomeoneAwake ? (["pauses"] as const) : []),
      ...(isWanted("restarts") ? (["restarts"] as const) : []),
      "cuts" as const,
      "noise" as const,
    ];
    return kinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind));
  };

  const make = async (kind: keyof FaultCounts): Promise<void> => {
    counts[kind] += 1;
    const { server, pool } = random.oneOf(databases);
    switch (kind) {
      case "kills":
        await random.oneOf(awake()).killAndRestart();
        break;
      case "pauses": {
        const paused = pause(random.oneOf(awake())).finally(() => pauses.delete(paused));
        pauses.add(paused);
        break;
      }
      case "restarts":
        await server.crash();
        break;
      case "cuts":
        // Listening connections, too: notifications are lost until they are back.
        await pool
          .query(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()",
          )
          .catch(() => undefined);
        break;
      case "noise":
        // Signals of events that did not happen, and repeated signals.
        await pool
          .query(
            `select pg_catalog.pg_notify('longrunning_signals', kind || ' ' || name)
            from longrunning.operations, (values ('done'), ('missed'), ('deleted')) as kinds (kind)
            order by random() limit 50`,
          )
          .catch(() => undefined);
        break;
    }
  };

  const isOver = () =>
    counts.kills >= wanted.kills &&
    counts.pauses >= wanted.pauses &&
    counts.cuts >= wanted.cuts &&
    counts.restarts >= wanted.restarts &&
    counts.noise >= wanted.noise;
  while (!isOver()) {
    await sleep(random.between(200, 1200));
    await make(random.oneOf(possible()));
  }
  await Promise.all(pauses);
  return counts;
}
