import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { PostgresServer } from "../test/support/postgres/start-postgres.js";
import type { Random } from "./random.js";
import type { ReplicaProcess } from "./replicas.js";

/** How often each fault happened. */
export interface FaultCounts {
  kills: number;
  pauses: number;
  cuts: number;
  restarts: number;
  noise: number;
}

/** What faults are made to. */
export interface Victims {
  readonly server: PostgresServer;
  readonly pool: pg.Pool;
  readonly workers: readonly ReplicaProcess[];
}

/** How long a process stands still, in milliseconds: longer than its lease of 10 s. */
const pauseMs = 12_500;

/**
 * Make faults until there were as many kills and pauses as are wanted, and say how many there
 * were of each.
 */
export async function makeFaults(
  { server, pool, workers }: Victims,
  random: Random,
  wanted: Pick<FaultCounts, "kills" | "pauses" | "restarts">,
): Promise<FaultCounts> {
  const counts: FaultCounts = { kills: 0, pauses: 0, cuts: 0, restarts: 0, noise: 0 };
  const pauses = new Set<Promise<void>>();
  const running = () => workers.filter((worker) => !worker.isPaused());

  const pause = async (worker: ReplicaProcess) => {
    worker.pause();
    await sleep(pauseMs);
    worker.resume();
  };

  while (counts.kills < wanted.kills || counts.pauses < wanted.pauses) {
    await sleep(random.between(200, 1200));
    const fault = random.oneOf([
      "kill",
      "kill",
      "pause",
      "pause",
      "pause",
      "cut",
      "restart",
      "noise",
    ]);
    const awake = running();
    if (fault === "kill" && counts.kills < wanted.kills && awake.length > 0) {
      counts.kills += 1;
      await random.oneOf(awake).killAndRestart();
    } else if (fault === "pause" && counts.pauses < wanted.pauses && awake.length > 0) {
      counts.pauses += 1;
      const paused = pause(random.oneOf(awake)).finally(() => pauses.delete(paused));
      pauses.add(paused);
    } else if (fault === "cut") {
      counts.cuts += 1;
      // The listeners among them: what is notified meanwhile is lost.
      await pool
        .query(
          "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()",
        )
        .catch(() => undefined);
    } else if (fault === "restart" && counts.restarts < wanted.restarts) {
      counts.restarts += 1;
      await server.crash();
    } else if (fault === "noise") {
      counts.noise += 1;
      // Signals of what did not happen, or again of what did.
      await pool
        .query(
          `select pg_notify('longrunning_signals', kind || ' ' || name)
          from longrunning.operations, (values ('done'), ('missed'), ('deleted')) as kinds (kind)
          order by random() limit 50`,
        )
        .catch(() => undefined);
    }
  }
  await Promise.all(pauses);
  return counts;
}
