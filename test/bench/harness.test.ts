import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { ask, type Effort, type OpenSubject, type Question } from "../../bench/harness.js";

const effort: Effort = { launches: 6, rounds: 1, warmUpRounds: 1, turns: 1, turnMs: 1 };

/** A subject that takes this many microseconds, and records the calls to it. */
function aSubject(
  name: string,
  micros: number,
  log: string[] = [],
  more: Partial<OpenSubject> = {},
) {
  return {
    name,
    async open(): Promise<OpenSubject> {
      log.push(`open ${name}`);
      return {
        async turn() {
          log.push(name);
          return { micros };
        },
        async close() {
          log.push(`close ${name}`);
        },
        ...more,
      };
    },
  };
}

function aQuestion(question: Partial<Question>): Question {
  return {
    asks: "Is it?",
    baseline: "a",
    subjects: [aSubject("a", 100), aSubject("b", 110)],
    cases: { of: "in flight", values: [1] },
    measures: [{ key: "time", title: "time (us)", amount: "micros" }],
    goals: [],
    effort,
    ...question,
  };
}

describe("ask", () => {
  it("lets the subjects take turns, each time with another one first", async () => {
    const log: string[] = [];
    const subjects = [aSubject("a", 1, log), aSubject("b", 1, log), aSubject("c", 1, log)];
    await ask(aQuestion({ subjects }), { ...effort, launches: 1, warmUpRounds: 0, turns: 3 });
    assert.deepEqual(log, [
      ...["open a", "open b", "open c"],
      ...["a", "b", "c", "b", "c", "a", "c", "a", "b"],
      ...["close a", "close b", "close c"],
    ]);
  });

  it("divides the sums of a round, so that a turn weighs by its requests", async () => {
    const amounts = [
      { micros: 10, requests: 1 },
      { micros: 90, requests: 9 },
      { micros: 100, requests: 1 },
    ];
    const counting = { turn: async () => amounts.shift() ?? {} };
    const plain = { turn: async () => ({ micros: 1, requests: 1 }) };
    const { figures } = await ask(
      aQuestion({
        subjects: [aSubject("a", 0, [], plain), aSubject("b", 0, [], counting)],
        measures: [{ key: "time", title: "time (us)", amount: "micros", per: "requests" }],
      }),
      { ...effort, launches: 1, warmUpRounds: 0, turns: 3 },
    );
    // (10 + 90 + 100) / (1 + 9 + 1)
    assert.equal(figures[1]?.median, 200 / 11);
  });

  it("starts the subjects anew for each launch", async () => {
    const log: string[] = [];
    const subjects = [aSubject("a", 1, log), aSubject("b", 1, log)];
    await ask(aQuestion({ subjects }), { ...effort, launches: 3 });
    assert.equal(log.filter((entry) => entry === "open b").length, 3);
    assert.equal(log.filter((entry) => entry === "close b").length, 3);
  });

  it("does not count the rounds of the warm-up", async () => {
    const left = [900, 800, 700];
    const cooling = { turn: async () => ({ micros: left.shift() ?? 0 }) };
    const subjects = [aSubject("a", 0, [], cooling), aSubject("b", 1)];
    const { turns } = await ask(aQuestion({ subjects }), {
      ...effort,
      launches: 1,
      warmUpRounds: 2,
    });
    assert.deepEqual(
      turns.map(({ subject, amounts }) => [subject, amounts.micros]),
      [
        ["a", 700],
        ["b", 1],
      ],
    );
  });

  it("compares each subject with the baseline, which has no ratio", async () => {
    const { figures } = await ask(aQuestion({}), effort);
    const [a, b] = figures;
    assert.equal(a?.median, 100);
    assert.equal(a?.ratio, undefined);
    assert.equal(b?.median, 110);
    assert.deepEqual(b?.ratio, { min: 1.1, median: 1.1, max: 1.1, medianWithin: [1.1, 1.1] });
  });

  it("reports whether a goal was met, against the subject that it names", async () => {
    const subjects = [aSubject("a", 100), aSubject("b", 110), aSubject("c", 220)];
    const goal = { measure: "time", subject: "b" } as const;
    const { goals } = await ask(
      aQuestion({
        subjects,
        goals: [
          { ...goal, bound: "at most", ratio: 1.1 },
          { ...goal, bound: "at most", ratio: 1.09 },
          { ...goal, bound: "at most", ratio: 0.5, against: "c" },
          { ...goal, bound: "at least", ratio: 0.6, against: "c" },
        ],
      }),
      effort,
    );
    assert.deepEqual(
      goals.map(({ met }) => met),
      [true, false, true, false],
    );
  });

  it("is certain of no goal where the launches lie on both sides of it", async () => {
    let turn = 0;
    const wavering = { turn: async () => ({ micros: turn++ % 4 < 2 ? 90 : 130 }) };
    const { goals } = await ask(
      aQuestion({
        subjects: [aSubject("a", 100), aSubject("b", 0, [], wavering)],
        goals: [{ measure: "time", subject: "b", bound: "at most", ratio: 1.11 }],
      }),
      effort,
    );
    assert.deepEqual([goals[0]?.met, goals[0]?.certain], [true, false]);
  });

  it("refuses to time subjects that answer differently, and closes them", async () => {
    const log: string[] = [];
    const answering = (...bytes: number[]) => ({ answer: async () => new Uint8Array(bytes) });
    const subjects = [
      aSubject("a", 1, log, answering(1, 2)),
      aSubject("b", 1, log, answering(1, 3)),
    ];
    await assert.rejects(ask(aQuestion({ subjects }), effort), /"b" answers other bytes than "a"/);
    assert.deepEqual(log, ["open a", "open b", "close a", "close b"]);
  });

  it("refuses a round that lacks what a measure is made of", async () => {
    const silent = { turn: async () => ({}) };
    const subjects = [aSubject("a", 1), aSubject("b", 1, [], silent)];
    await assert.rejects(ask(aQuestion({ subjects }), effort), /"b" gave NaN for time/);
  });
});
