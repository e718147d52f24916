import { openBenchDatabase } from "../bench-postgres.js";
import { callMeasures } from "../call-subject.js";
import type { Question, Subject } from "../harness.js";

const module = (name: string) => new URL(`../subjects/${name}.ts`, import.meta.url);

/** A client with a database of its own, and a server between the two where one is named. */
function databaseSubject(name: string, modules: { client: string; server?: string }): Subject {
  return {
    name,
    async open() {
      const database = await openBenchDatabase();
      const server = modules.server && (await database.startChild(module(modules.server)));
      const client = await database.startChild(module(modules.client));
      const port = server ? (server.port ?? 0) : 0;
      return {
        async turn(inFlight, durationMs) {
          const outcome = await client.ask("load", { port, inFlight, durationMs });
          return { requests: outcome.requests, seconds: outcome.elapsedMs / 1000 };
        },
        async close() {
          await client.stop();
          if (server) await server.stop();
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
