import type { Question } from "../harness.js";
import { startStore } from "../store-child.js";

const operations = 200_000;

export const question: Question = {
  asks: `What does the memory store hold for each of ${operations} operations?`,
  baseline: "3 times the wire size and 200 bytes",
  subjects: [
    subject("3 times the wire size and 200 bytes", (_, wireBytes) => 3 * wireBytes + 200),
    subject("memory store", (heldBytes) => heldBytes / operations),
  ],
  cases: { of: "bytes by wire, about", values: [150, 312, 1000, 5000] },
  measures: [{ key: "bytes", title: "memory per operation (bytes)", amount: "bytes" }],
  goals: [{ measure: "bytes", subject: "memory store", bound: "at most", ratio: 1 }],
  effort: { launches: 2, rounds: 1, warmUpRounds: 0, turns: 1, turnMs: 0 },
};

function subject(name: string, bytesOf: (heldBytes: number, wireBytes: number) => number) {
  return {
    name,
    async open() {
      const { child, close } = await startStore();
      return {
        async turn(wireBytes: number) {
          const filled = await child.ask("fill", { operations, openEvery: 1000, wireBytes });
          return { bytes: bytesOf(filled.heldBytes, filled.wireBytes) };
        },
        close,
      };
    },
  };
}
