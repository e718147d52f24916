import { builtCallSubject, callMeasures } from "../call-subject.js";
import type { Question } from "../harness.js";

const { serverCpu } = callMeasures;

export const question: Question = {
  asks: "How much of the server's time does a GetOperation over REST take, on HTTP/1.1?",
  baseline: "Connect in JSON",
  subjects: [
    builtCallSubject("Connect in JSON", {
      server: "rest-server",
      client: "connect-json-client",
    }),
    builtCallSubject("hand-written", {
      server: "hand-written-server",
      client: "rest-client",
    }),
    builtCallSubject("REST", { server: "rest-server", client: "rest-client" }),
  ],
  cases: { of: "in flight", values: [16, 1] },
  measures: [serverCpu, callMeasures.throughput],
  goals: [
    { measure: serverCpu.key, subject: "REST", bound: "at most", ratio: 1.5 },
    {
      measure: serverCpu.key,
      subject: "REST",
      against: "hand-written",
      bound: "at most",
      ratio: 1.6,
    },
  ],
  effort: { launches: 7, rounds: 6, warmUpRounds: 6, turns: 10, turnMs: 40 },
};
