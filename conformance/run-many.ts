/**
 * Runs all cases against the correct test server many times, with a new seed each time and under CPU
 * load, and fails if any case fails: the suite must accuse no correct server.
 *
 *     npm run conformance:many -- [RUNS = 200] [FIRST SEED = 1] [BUSY THREADS = number of cores]
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { runSuite } from "../src/conformance/run-suite.js";
import { openTestSubject } from "../test/conformance/support/test-subject.js";

const [runs = 200, firstSeed = 1, busy = availableParallelism()] = process.argv
  .slice(2)
  .map(Number);

/** Keeps one core busy. */
const busyLoop = "for (;;) Math.sqrt(Math.random());";
const load = Array.from({ length: busy }, () => new Worker(busyLoop, { eval: true }));

const failures: string[] = [];
const missing = new Map<string, number>();
for (let run = 0; run < runs; run += 1) {
  const seed = firstSeed + run;
  const { subject, close } = await openTestSubject({ unitMs: 150, seed });
  const report = await runSuite(subject, { jobs: 8, inferred: true, level: "should" });
  await close();
  for (const { id, protocol, outcome, expected, actual, why } of report.cases) {
    if (outcome === "fail" || outcome === "error") {
      failures.push(`seed ${seed}: ${id} ${protocol}: ${expected}; ${actual} ${why}`);
      console.log(failures.at(-1));
    }
    if (outcome === "not-exercised") missing.set(id, (missing.get(id) ?? 0) + 1);
  }
  if ((run + 1) % 20 === 0) console.log(`${run + 1} runs, ${failures.length} failures`);
}
for (const worker of load) await worker.terminate();
console.log(
  `${runs} runs of the correct server, ${failures.length} failures; not exercised because the runner was slow: ` +
    ([...missing].map(([id, count]) => `${id} ${count}`).join(", ") || "none"),
);
process.exitCode = failures.length === 0 ? 0 : 1;
