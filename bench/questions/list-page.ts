import type { Question, Subject } from "../harness.js";
import { startStore } from "../store-child.js";

export const question: Question = {
  asks: "What does a page of 50 cost at any size of the memory store, at any depth?",
  baseline: "1,000 stored, page 1",
  subjects: [
    pageSubject("1,000 stored, page 1", 1000, 1),
    pageSubject("100,000 stored, page 1", 100_000, 1),
    pageSubject("100,000 stored, last page", 100_000, 10_000),
    pageSubject("1,000,000 stored, page 1", 1_000_000, 1),
    pageSubject("1,000,000 stored, page 10,000", 1_000_000, 10_000),
  ],
  cases: { of: "(0: no filter, 1: done = false, 2: by metadata)", values: [0, 1, 2] },
  measures: [
    { key: "micros", title: "processor time per page (us)", amount: "micros", per: "pages" },
  ],
  goals: [
    "100,000 stored, page 1",
    "100,000 stored, last page",
    "1,000,000 stored, page 1",
    "1,000,000 stored, page 10,000",
  ].map((subject) => ({ measure: "micros", subject, bound: "at most", ratio: 2 })),
  effort: { launches: 6, rounds: 4, warmUpRounds: 2, turns: 10, turnMs: 20 },
};

/**
 * Lists pages of a separate store. In case 1 one operation in a thousand matches, except in
 * the store of 1000, where all 50 of a page match, because one match would not fill a page. In
 * case 2 every second operation matches, by a field of its metadata.
 */
function pageSubject(name: string, operations: number, page: number): Subject {
  return {
    name,
    async open() {
      const { child, close } = await startStore();
      const openEvery = operations === 1000 ? 1 : 1000;
      await child.ask("fill", { operations, openEvery, wireBytes: 312 });
      return {
        async turn(of, durationMs) {
          const wanted = (["all", "open", "metadata"] as const)[of] ?? "all";
          const outcome = await child.ask("list", { page, wanted, durationMs });
          return { ...outcome };
        },
        close,
      };
    },
  };
}
