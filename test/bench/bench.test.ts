import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, it } from "vitest";
import type { Answer } from "../../bench/harness.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs bench/run.ts; rejects if it does not exit with 0. */
function bench(...args: readonly string[]) {
  return run(process.execPath, ["--import", "tsx", "bench/run.ts", ...args], { cwd: root });
}

describe("bench/run.ts", () => {
  it("takes turns and gives finite ratios for every measure and case", async () => {
    const { stdout } = await bench("--quick", "--json", "get-operation");
    const answers: readonly (Answer & { name: string })[] = JSON.parse(stdout);
    const [answer] = answers;
    assert.ok(answer);
    assert.equal(answer.name, "get-operation");

    const first = answer.turns.filter((turn) => turn.case === 16 && turn.round === 0);
    assert.deepEqual(
      first.map(({ subject }) => subject),
      ["bare handler", "service", "service", "bare handler"],
    );
    assert.equal(answer.turns.length, 3 * 2 * first.length);

    const ratios = answer.figures.filter(({ subject }) => subject === "service");
    assert.deepEqual(
      ratios.map(({ measure, case: at }) => [measure, at]),
      [
        ["serverCpuMicros", 16],
        ["serverCpuMicros", 1],
        ["requestsPerSecond", 16],
        ["requestsPerSecond", 1],
      ],
    );
    for (const { median, ratio } of ratios) {
      assert.ok(ratio);
      for (const value of [median, ratio.min, ratio.median, ratio.max]) {
        assert.ok(Number.isFinite(value) && value > 0, `${value} is no measurement`);
      }
      assert.ok(ratio.min <= ratio.median && ratio.median <= ratio.max);
    }
    assert.deepEqual(
      answer.goals.map(({ case: at, goal }) => [at, goal.ratio]),
      [
        [16, 1.1],
        [1, 1.1],
      ],
    );
  }, 60_000);

  it("names the questions there are when asked an unknown one", async () => {
    const failed = bench("--quick", "get-operations");
    await assert.rejects(failed, {
      code: 1,
      stdout: "",
      stderr: /no question is named get-operations; there are: .*get-operation\b/,
    });
  }, 60_000);

  it("lists each question with its text", async () => {
    const { stdout } = await bench("--list");
    assert.match(stdout, /^get-operation: How much of .*\?$/m);
  }, 60_000);
});
