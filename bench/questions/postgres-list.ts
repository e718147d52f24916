import { type BenchDatabase, openBenchDatabase } from "../bench-postgres.js";
import { buildSubjects } from "../built-subjects.js";
import type { List } from "../child-messages.js";
import type { Question, Subject } from "../harness.js";

const operations = 1_000_000;

/** The contents of a page in each case. */
const lists: readonly Pick<List, "page" | "wanted">[] = [
  { page: 1, wanted: "all" },
  { page: 10_000, wanted: "all" },
  { page: 1, wanted: "open" },
];

/** One table for both, as it takes its time to fill; the last to close lets it go. */
let shared: Promise<BenchDatabase> | undefined;
let users = 0;

async function openFilled(): Promise<BenchDatabase> {
  const database = await openBenchDatabase();
  const built = await buildSubjects(["postgres-list-store"]);
  const filler = await database.startChild(built.url("postgres-list-store"));
  await filler.ask("fill", { operations, openEvery: 1000, wireBytes: 312 });
  await filler.stop();
  await built.remove();
  return database;
}

function pageSubject(name: string, module: string): Subject {
  return {
    name,
    async open() {
      users += 1;
      shared ??= openFilled();
      const database = await shared;
      const built = await buildSubjects([module]);
      const child = await database.startChild(built.url(module));
      return {
        async turn(at, durationMs) {
          const list = lists[at] ?? { page: 1, wanted: "all" };
          return { ...(await child.ask("list", { ...list, durationMs })) };
        },
        async close() {
          await child.stop();
          await built.remove();
          users -= 1;
          if (users > 0) return;
          shared = undefined;
          await database.close();
        },
      };
    },
  };
}

export const question: Question = {
  asks: `What does a page of 50 of ${operations} operations in PostgreSQL cost, against the bare driver?`,
  baseline: "pg: keyset query",
  subjects: [
    pageSubject("pg: keyset query", "postgres-list-raw"),
    pageSubject("ours: list", "postgres-list-store"),
  ],
  cases: { of: "(0: page 1, 1: page 10,000, 2: done = false)", values: [0, 1, 2] },
  measures: [
    { key: "elapsedMicros", title: "time per page (us)", amount: "elapsedMicros", per: "pages" },
  ],
  // The goals are times; README.md states them.
  goals: [],
  effort: { launches: 2, rounds: 4, warmUpRounds: 2, turns: 4, turnMs: 200 },
};
