import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildForNode } from "../build.js";
import { startChild } from "../child.js";
import type { Question, Subject } from "../harness.js";

const waits = 10_000;

export const question: Question = {
  asks: `What do ${waits} waits hold in one process, and how fast are they woken?`,
  baseline: "bare promise",
  subjects: [
    waitsSubject("bare promise", "bare-waits"),
    waitsSubject("Connect call", "call-waits"),
    waitsSubject("ours", "our-waits"),
  ],
  cases: { of: "operations", values: [waits, 1] },
  measures: [
    { key: "heldBytes", title: "memory per wait (bytes)", amount: "heldBytes", per: "waits" },
    { key: "wakeMs", title: `from the end to the last of ${waits} (ms)`, amount: "wakeMs" },
  ],
  goals: [],
  effort: { launches: 2, rounds: 1, warmUpRounds: 0, turns: 1, turnMs: 0 },
};

/** Waits of one process. The case is the operations that they are spread over. */
function waitsSubject(name: string, module: string): Subject {
  return {
    name,
    async open() {
      const built = await buildForNode([`bench/subjects/${module}.ts`], {
        bundle: true,
        packages: "external",
        outExtension: { ".js": ".mjs" },
      });
      const child = await startChild(pathToFileURL(join(built.folder, `${module}.mjs`)));
      // Too few turns are taken to warm up on them.
      for (const operations of [500, 1]) await child.ask("pend", { waits: 500, operations });
      return {
        async turn(operations) {
          const outcome = await child.ask("pend", { waits, operations });
          return { waits, ...outcome };
        },
        async close() {
          await child.stop();
          await built.remove();
        },
      };
    },
  };
}
