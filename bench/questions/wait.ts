import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { buildForNode } from "../build.js";
import { type Child, startChild } from "../child.js";
import type { MemoryInUse } from "../child-messages.js";
import type { OpenSubject, Question, Subject } from "../harness.js";

const waits = 10_000;

export const question: Question = {
  asks: `What do ${waits} pending WaitOperation calls hold in a server, and how fast are they woken?`,
  baseline: "bare handler",
  subjects: [
    holdingSubject("bare handler", "holding-bare"),
    holdingSubject("service", "holding-service"),
    holdingSubject("grpc-js", "holding-grpc-js"),
  ],
  cases: { of: "operations", values: [waits, 1] },
  measures: [
    { key: "heldBytes", title: "memory per wait (bytes)", amount: "heldBytes", per: "waits" },
    { key: "wakeMs", title: `from the end to the last of ${waits} (ms)`, amount: "wakeMs" },
    { key: "wakeCpuMs", title: "server CPU meanwhile (ms)", amount: "wakeCpuMs" },
  ],
  goals: [
    // One kB more than the 4 kB that a call to a bare handler holds.
    { measure: "heldBytes", subject: "service", bound: "at most", ratio: 1.25 },
    { measure: "wakeMs", subject: "service", bound: "at most", ratio: 1.1 },
    { measure: "heldBytes", subject: "service", against: "grpc-js", bound: "at most", ratio: 0.5 },
    { measure: "wakeMs", subject: "service", against: "grpc-js", bound: "at most", ratio: 0.7 },
  ],
  effort: { launches: 2, rounds: 1, warmUpRounds: 1, turns: 1, turnMs: 0 },
};

/** A server and a client that waits at it. The case is the operations that the waits are spread over. */
function holdingSubject(name: string, module: string): Subject {
  return {
    name,
    async open() {
      const modules = [module, "holding-client"];
      const built = await buildForNode(
        modules.map((each) => `bench/subjects/${each}.ts`),
        { bundle: true, packages: "external", outExtension: { ".js": ".mjs" } },
      );
      const start = (each: string) => startChild(pathToFileURL(join(built.folder, `${each}.mjs`)));
      const [server, client] = await Promise.all([start(module), start("holding-client")]);
      return openSubject(server, client, () => built.remove());
    },
  };
}

function openSubject(server: Child, client: Child, remove: () => Promise<void>): OpenSubject {
  const { port } = server;
  if (port === undefined) throw new Error("the server does not listen");
  return {
    async turn(operations) {
      const names = await server.ask("begin", operations);
      const before = await settledBytes(server);
      await client.ask("hold", { port, names, times: waits / operations });
      while ((await server.ask("waiting")) < waits) await sleep(20);
      const heldBytes = (await settledBytes(server)) - before;
      const cpuBefore = await server.ask("cpu");
      const [startMs, lastMs] = await Promise.all([server.ask("end"), client.ask("held")]);
      const wakeCpuMs = ((await server.ask("cpu")) - cpuBefore) / 1000;
      return { waits, heldBytes, wakeMs: lastMs - startMs, wakeCpuMs };
    },
    async close() {
      await client.stop();
      await server.stop();
      await remove();
    },
  };
}

/** Heap in use once all pending callbacks have run. */
async function settledBytes(server: Child): Promise<number> {
  let memory: MemoryInUse = { rss: 0, heap: 0, external: 0 };
  // Collects three times, because objects that a finalizer releases are collected the next time.
  for (let collection = 0; collection < 3; collection++) {
    await sleep(50);
    memory = await server.ask("memory");
  }
  return memory.heap + memory.external;
}
