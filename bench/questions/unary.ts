import { builtCallSubject, callMeasures } from "../call-subject.js";
import type { Question } from "../harness.js";

const { serverCpu, clientCpu, throughput, latencyP99 } = callMeasures;

export const question: Question = {
  asks: "How fast is a unary gRPC call, on each side, against its peers and the limit?",
  // Named client / server.
  baseline: "grpc-js / grpc-js",
  subjects: [
    builtCallSubject("grpc-js / grpc-js", { client: "grpc-js-client", server: "grpc-js-server" }),
    builtCallSubject("http2 / http2", { client: "echo-client", server: "echo-server" }),
    builtCallSubject("google-gax / grpc-js", { client: "gax-client", server: "grpc-js-server" }),
    builtCallSubject("Connect / Connect", {
      client: "connect-grpc-client",
      server: "bare-server",
    }),
    builtCallSubject("grpc-js / Connect", { client: "grpc-js-client", server: "bare-server" }),
    builtCallSubject("grpc-js / ours", { client: "grpc-js-client", server: "fast-server" }),
    builtCallSubject("ours / grpc-js", { client: "fast-client", server: "grpc-js-server" }),
    builtCallSubject("ours / ours", { client: "fast-client", server: "fast-server" }),
  ],
  cases: { of: "in flight", values: [1, 16, 128] },
  measures: [throughput, serverCpu, clientCpu, latencyP99],
  goals: [
    { measure: throughput.key, subject: "grpc-js / ours", bound: "at least", ratio: 1 },
    {
      measure: throughput.key,
      subject: "grpc-js / ours",
      against: "grpc-js / Connect",
      bound: "at least",
      ratio: 2.5,
    },
    { measure: throughput.key, subject: "ours / ours", bound: "at least", ratio: 1.4 },
    {
      measure: throughput.key,
      subject: "ours / ours",
      against: "http2 / http2",
      bound: "at least",
      ratio: 0.55,
    },
    { measure: latencyP99.key, subject: "ours / ours", at: [16], bound: "at most", ratio: 1 },
  ],
  effort: { launches: 6, rounds: 4, warmUpRounds: 4, turns: 4, turnMs: 100 },
};
