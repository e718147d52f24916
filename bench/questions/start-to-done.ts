import { builtCallSubject, callMeasures } from "../call-subject.js";
import type { Question } from "../harness.js";

export const question: Question = {
  asks: "How much of the time from the start of an operation to its end, by gRPC, is our own?",
  baseline: "bare handlers",
  subjects: [
    builtCallSubject("bare handlers", { server: "started-bare", client: "started-client" }),
    builtCallSubject("service", { server: "started-service", client: "started-client" }),
  ],
  cases: { of: "in flight", values: [16, 1] },
  measures: [callMeasures.serverCpu, callMeasures.throughput],
  goals: [
    { measure: callMeasures.throughput.key, subject: "service", bound: "at least", ratio: 0.75 },
  ],
  effort: { launches: 6, rounds: 4, warmUpRounds: 4, turns: 10, turnMs: 80 },
};
