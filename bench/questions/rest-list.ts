import { builtCallSubject, callMeasures } from "../call-subject.js";
import type { Question } from "../harness.js";

const { serverCpu } = callMeasures;

export const question: Question = {
  asks: "How much of the server's time does a list of 1,000 stored operations over REST take, against JSON.stringify of the same?",
  baseline: "JSON.stringify",
  subjects: [
    builtCallSubject("JSON.stringify", {
      server: "hand-written-list-server",
      client: "rest-list-client",
    }),
    builtCallSubject("REST", { server: "rest-list-server", client: "rest-list-client" }),
  ],
  cases: { of: "in flight", values: [4] },
  measures: [serverCpu, callMeasures.throughput],
  goals: [{ measure: serverCpu.key, subject: "REST", bound: "at most", ratio: 1.3 }],
  effort: { launches: 5, rounds: 6, warmUpRounds: 4, turns: 6, turnMs: 80 },
};
