import { type Child, startChild } from "../child.js";
import type { Follow } from "../child-messages.js";
import type { Amounts, Question, Subject } from "../harness.js";
import { median } from "../ratios.js";

/** Pause between two starts, so that few operations end at the same time. */
const everyMs = 50;

const latency = {
  key: "latencyMs",
  title: "from the end on the server to the result (ms), median of a turn",
  amount: "latencyMs",
};
const requests = {
  key: "requests",
  title: "requests for an operation, its start left out",
  amount: "requests",
  per: "operations",
};

export const question: Question = {
  asks: "How soon is a result at its caller, and what does the waiting cost in requests?",
  baseline: "round trip",
  subjects: [
    followSubject("round trip", new URL("../subjects/round-trip-follower.ts", import.meta.url)),
    followSubject("ours", new URL("../subjects/our-follower.ts", import.meta.url)),
    followSubject("google-gax", new URL("../subjects/gax-follower.ts", import.meta.url)),
  ],
  cases: { of: "ms of work", values: [50, 500, 5000] },
  measures: [latency, requests],
  goals: [
    { measure: latency.key, subject: "ours", bound: "at most", ratio: 3 },
    { measure: requests.key, subject: "ours", bound: "at most", ratio: 2 },
  ],
  effort: { launches: 3, rounds: 1, warmUpRounds: 0, turns: 1, turnMs: 500 },
};

/** Operations of our server, followed by this module. The case is how long they last. */
function followSubject(name: string, follower: URL): Subject {
  return {
    name,
    async open() {
      const [server, client] = await Promise.all([
        startChild(new URL("../subjects/print-server.ts", import.meta.url)),
        startChild(follower),
      ]);
      // Too few operations are measured to warm up on them.
      await follow(server, client, { operations: 100, lastMs: 20, everyMs: 5 });
      return {
        turn: (lastMs, turnMs) =>
          follow(server, client, { operations: Math.ceil(turnMs / everyMs), lastMs, everyMs }),
        async close() {
          await client.stop();
          await server.stop();
        },
      };
    },
  };
}

async function follow(
  server: Child,
  client: Child,
  operations: Omit<Follow, "port">,
): Promise<Amounts> {
  const { port } = server;
  if (port === undefined) throw new Error("the server does not listen");
  await server.ask("seen");
  const settled = await client.ask("follow", { port, ...operations });
  const { endedAtMs, requests } = await server.ask("seen");
  const latenciesMs = settled.map(({ atMs, since }) => {
    const sinceMs = typeof since === "number" ? since : endedAtMs.get(since.endOf);
    if (sinceMs === undefined) throw new Error("a result came of what had not ended");
    return atMs - sinceMs;
  });
  return { operations: settled.length, requests, latencyMs: median(latenciesMs) };
}
