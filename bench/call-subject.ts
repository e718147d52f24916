import { buildSubjects } from "./built-subjects.js";
import { type Child, startChild } from "./child.js";
import type { Measure, OpenSubject, Subject } from "./harness.js";

/** The measures that a question about calls may have. */
export const callMeasures = {
  serverCpu: {
    key: "serverCpuMicros",
    title: "server CPU per request (us)",
    amount: "serverCpuMicros",
    per: "requests",
  },
  clientCpu: {
    key: "clientCpuMicros",
    title: "client CPU per request (us)",
    amount: "clientCpuMicros",
    per: "requests",
  },
  throughput: {
    key: "requestsPerSecond",
    title: "requests per second",
    amount: "requests",
    per: "seconds",
  },
  /** Mean over the turns of a round. Use long turns with this measure. */
  latencyP99: { key: "latencyP99Ms", title: "99th percentile of latency (ms)", amount: "p99Ms" },
} as const satisfies Record<string, Measure>;

/** A server and a client that calls it, each in a process of its own; the case is the calls in flight. */
export function callSubject(name: string, modules: { server: URL; client: URL }): Subject {
  return {
    name,
    async open() {
      const [server, client] = await Promise.all([
        startChild(modules.server),
        startChild(modules.client),
      ]);
      return openSubject(server, client);
    },
  };
}

/** Makes a `callSubject` from modules in `subjects/`, built as published packages are. */
export function builtCallSubject(
  name: string,
  modules: { server: string; client: string },
): Subject {
  return {
    name,
    async open() {
      const built = await buildSubjects([modules.server, modules.client]);
      const [server, client] = await Promise.all([
        startChild(built.url(modules.server)),
        startChild(built.url(modules.client)),
      ]);
      const opened = openSubject(server, client);
      return {
        ...opened,
        async close() {
          await opened.close();
          await built.remove();
        },
      };
    },
  };
}

function openSubject(server: Child, client: Child): OpenSubject {
  const { port } = server;
  if (port === undefined) throw new Error("the server does not listen");
  return {
    answer: () => client.ask("answer", port),
    async turn(inFlight, durationMs) {
      const serverBefore = await server.ask("cpu");
      const clientBefore = await client.ask("cpu");
      const outcome = await client.ask("load", { port, inFlight, durationMs });
      const serverMicros = (await server.ask("cpu")) - serverBefore;
      const clientMicros = (await client.ask("cpu")) - clientBefore;
      return {
        requests: outcome.requests,
        seconds: outcome.elapsedMs / 1000,
        serverCpuMicros: serverMicros,
        clientCpuMicros: clientMicros,
        p99Ms: outcome.latencyP99Ms,
      };
    },
    async close() {
      await client.stop();
      await server.stop();
    },
  };
}
