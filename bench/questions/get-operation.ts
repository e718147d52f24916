import { callMeasures, callSubject } from "../call-subject.js";
import type { Question } from "../harness.js";

const client = new URL("../subjects/connect-grpc-client.ts", import.meta.url);

export const question: Question = {
  asks: "How much of a GetOperation request's time, by gRPC over plaintext HTTP/2, is our own?",
  baseline: "bare handler",
  subjects: [
    callSubject("bare handler", {
      server: new URL("../subjects/bare-server.ts", import.meta.url),
      client,
    }),
    callSubject("service", {
      server: new URL("../subjects/service-server.ts", import.meta.url),
      client,
    }),
  ],
  cases: { of: "in flight", values: [16, 1] },
  measures: [callMeasures.serverCpu, callMeasures.throughput],
  goals: [
    { measure: callMeasures.serverCpu.key, subject: "service", bound: "at most", ratio: 1.1 },
  ],
  effort: { launches: 9, rounds: 6, warmUpRounds: 6, turns: 10, turnMs: 40 },
};
