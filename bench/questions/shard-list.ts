import { openBenchDatabase } from "../bench-postgres.js";
import { buildSubjects } from "../built-subjects.js";
import type { Question, Subject } from "../harness.js";

const operations = 100_000;

function shardsSubject(name: string, shards: number): Subject {
  return {
    name,
    async open() {
      const database = await openBenchDatabase();
      const built = await buildSubjects(["shard-list-store"]);
      const child = await database.startChild(built.url("shard-list-store"));
      await child.ask("fill", { operations, openEvery: 1000, wireBytes: 312, shards });
      return {
        async turn(page, durationMs) {
          return { ...(await child.ask("list", { page, wanted: "all", durationMs })) };
        },
        async close() {
          await child.stop();
          await built.remove();
          await database.close();
        },
      };
    },
  };
}

export const question: Question = {
  asks: `What does a page of 50 of a list over all parents cost, over shards of ${operations} operations each?`,
  baseline: "1 shard",
  subjects: [
    shardsSubject("1 shard", 1),
    shardsSubject("2 shards", 2),
    shardsSubject("4 shards", 4),
  ],
  cases: { of: "page", values: [1, 1000] },
  measures: [
    { key: "elapsedMicros", title: "time per page (us)", amount: "elapsedMicros", per: "pages" },
    { key: "micros", title: "processor time per page (us)", amount: "micros", per: "pages" },
  ],
  goals: [],
  effort: { launches: 2, rounds: 4, warmUpRounds: 2, turns: 4, turnMs: 200 },
};
