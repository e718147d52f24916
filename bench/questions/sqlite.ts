import { buildSubjects } from "../built-subjects.js";
import { builtCallSubject, callMeasures } from "../call-subject.js";
import { startChild } from "../child.js";
import type { Question, Subject } from "../harness.js";

/** A subject without a server: its one process takes the load. */
function loneSubject(name: string, module: string): Subject {
  return {
    name,
    async open() {
      const built = await buildSubjects([module]);
      const child = await startChild(built.url(module));
      return {
        async turn(inFlight, durationMs) {
          const outcome = await child.ask("load", { port: 0, inFlight, durationMs });
          return { requests: outcome.requests, seconds: outcome.elapsedMs / 1000 };
        },
        async close() {
          await child.stop();
          await built.remove();
        },
      };
    },
  };
}

const served = builtCallSubject("ours, by gRPC", {
  server: "sqlite-server",
  client: "sqlite-client",
});

export const question: Question = {
  asks: "How many operations a second are created, run and waited for over SQLite, against the bare driver?",
  baseline: "bare driver",
  subjects: [
    loneSubject("bare driver", "sqlite-raw"),
    loneSubject("our store", "sqlite-store"),
    {
      name: served.name,
      // Each operation has another name, so that answers are not compared.
      async open() {
        const { turn, close } = await served.open();
        return { turn, close };
      },
    },
  ],
  cases: { of: "in flight", values: [100, 1] },
  measures: [{ ...callMeasures.throughput, title: "operations per second" }],
  goals: [
    {
      measure: callMeasures.throughput.key,
      subject: served.name,
      at: [100],
      bound: "at least",
      ratio: 0.5,
    },
  ],
  effort: { launches: 6, rounds: 4, warmUpRounds: 4, turns: 4, turnMs: 150 },
};
