import { openBenchDatabase } from "../bench-postgres.js";
import { buildSubjects } from "../built-subjects.js";
import type { Question, Subject } from "../harness.js";

/** Pause between two starts, so that few operations end at the same time. */
const everyMs = 50;

const p99 = { key: "p99Ms", title: "99th percentile of a turn (ms)", amount: "p99Ms" };
const middle = { key: "medianMs", title: "median of a turn (ms)", amount: "medianMs" };

/**
 * The client calls one replica, and the work runs in another. The case is how long it runs. An
 * end begins with its write in the worker; a cancellation with the client's call, or `fromWrite`
 * with its write in the other replica.
 */
function replicaSubject(
  name: string,
  follower: string,
  { isReplicated = true, fromWrite = false } = {},
): Subject {
  return {
    name,
    async open() {
      const database = await openBenchDatabase();
      // One after the other: the first sets the schemas up.
      const built = await buildSubjects(["postgres-api", "postgres-server", follower]);
      const start = (module: string) => database.startChild(built.url(module));
      const api = isReplicated ? await start("postgres-api") : undefined;
      const worker = isReplicated ? await start("postgres-server") : undefined;
      const client = await start(follower);
      const port = api?.port ?? 0;
      return {
        async turn(lastMs, turnMs) {
          const operations = Math.ceil(turnMs / everyMs);
          const settled = await client.ask("follow", { port, operations, lastMs, everyMs });
          const seen = await worker?.ask("seen");
          const asked = await api?.ask("seen");
          const latenciesMs = settled
            .map(({ atMs, since }) => {
              const otherMs = typeof since === "number" ? since : seen?.endedAtMs.get(since.endOf);
              if (otherMs === undefined) throw new Error("the worker has not seen the end");
              if (!fromWrite || typeof since === "number") return Math.abs(atMs - otherMs);
              const writtenMs = asked?.cancelledAtMs?.get(since.endOf);
              if (writtenMs === undefined) throw new Error("the request was not written");
              // The notification may be there before the write's own answer is.
              return Math.max(0, otherMs - writtenMs);
            })
            .sort((one, other) => one - other);
          const at = (share: number) =>
            latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))];
          return { p99Ms: at(0.99) ?? Number.NaN, medianMs: at(0.5) ?? Number.NaN };
        },
        async close() {
          await client.stop();
          await api?.stop();
          await worker?.stop();
          await built.remove();
          await database.close();
        },
      };
    },
  };
}

export const question: Question = {
  asks: "How soon does another replica's client hear of an end, and another replica's work of a cancellation?",
  baseline: "pg: notify",
  subjects: [
    replicaSubject("pg: notify", "notify-follower", { isReplicated: false }),
    replicaSubject("ours: wake", "wait-follower"),
    replicaSubject("ours: cancel", "cancel-follower", { fromWrite: true }),
    replicaSubject("ours: cancel, from the call", "cancel-follower"),
  ],
  cases: { of: "ms of work", values: [100] },
  measures: [p99, middle],
  // The goal is a time, not a ratio; README.md states it.
  goals: [],
  effort: { launches: 3, rounds: 3, warmUpRounds: 2, turns: 1, turnMs: 3000 },
};
