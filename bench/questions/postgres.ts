import { openBenchDatabase } from "../bench-postgres.js";
import { buildSubjects } from "../built-subjects.js";
import { callMeasures } from "../call-subject.js";
import type { Question, Subject } from "../harness.js";

/** A client with a database of its own, and a server between the two where one is named. */
function databaseSubject(name: string, modules: { client: string; server?: string }): Subject {
  return {
    name,
    async open() {
      const database = await openBenchDatabase();
      const built = await buildSubjects(Object.values(modules));
      const { server: serverModule } = modules;
      const server =
        serverModule === undefined ? undefined : await database.startChild(built.url(serverModule));
      const client = await database.startChild(built.url(modules.client));
      const port = server?.port ?? 0;
      return {
        async turn(inFlight, durationMs) {
          const outcome = await client.ask("load", { port, inFlight, durationMs });
          return { requests: outcome.requests, seconds: outcome.elapsedMs / 1000 };
        },
        async close() {
          await client.stop();
          await server?.stop();
          await built.remove();
          await database.close();
        },
      };
    },
  };
}

const measure = { ...callMeasures.throughput, title: "operations per second" };

export const question: Question = {
  asks: "How many operations a second are created, and run and waited for, over PostgreSQL, against the bare driver?",
  baseline: "pg: insert",
  subjects: [
    databaseSubject("pg: insert", { client: "postgres-insert" }),
    databaseSubject("pg: insert and update", { client: "postgres-insert-update" }),
    databaseSubject("ours: start", { client: "postgres-create-client", server: "postgres-api" }),
    databaseSubject("ours: start and wait", {
      client: "postgres-run-client",
      server: "postgres-server",
    }),
  ],
  cases: { of: "in flight", values: [50] },
  measures: [measure],
  goals: [
    { measure: measure.key, subject: "ours: start", bound: "at least", ratio: 0.2 },
    {
      measure: measure.key,
      subject: "ours: start and wait",
      against: "pg: insert and update",
      bound: "at least",
      ratio: 0.1,
    },
  ],
  effort: { launches: 6, rounds: 4, warmUpRounds: 2, turns: 2, turnMs: 500 },
};
