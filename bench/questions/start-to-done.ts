import { callMeasures, callSubject } from "../call-subject.js";
import type { Question } from "../harness.js";

const client = new URL("../subjects/started-client.ts", import.meta.url);

export const question: Question = {
  asks: "How much of the time from the start of an operation to its end, by gRPC, is our own?",
  baseline: "bare handlers",
  subjects: [
    callSubject("bare handlers", {
      server: new URL("../subjects/started-bare.ts", import.meta.url),
      client,
    }),
    callSubject("service", {
      server: new URL("../subjects/started-service.ts", import.meta.url),
      client,
    }),
  ],
  cases: { of: "in flight", values: [16, 1] },
  measures: [callMeasures.serverCpu, callMeasures.throughput],
  goals: [
    { measure: callMeasures.throughput.key, subject: "service", bound: "at least", ratio: 0.75 },
  ],
  effort: { launches: 6, rounds: 4, warmUpRounds: 4, turns: 10, turnMs: 80 },
};
