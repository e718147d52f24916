import { describe, expect, it, onTestFinished } from "vitest";
import { observeCounts } from "../../src/opentelemetry/index.js";
import type { OperationCounts } from "../../src/store/sqlite/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createCollectedMetrics } from "./collected-metrics.js";

const method = "printing.v1.PrintService/Print";
const of = { "connect_longrunning.method": method };
/** When the manual clock starts, in microseconds. */
const startMicros = Date.UTC(2026, 0, 1) * 1000;
const one: OperationCounts = {
  open: [
    { method, state: "queued", operations: 12, oldestTimeMicros: startMicros - 90_000_000 },
    { method, state: "running", operations: 3, oldestTimeMicros: startMicros },
  ],
  lost: [{ method, attempts: 2 }],
};
const two: OperationCounts = {
  open: [{ method, state: "queued", operations: 7, oldestTimeMicros: startMicros }],
  lost: [],
};

/** Counts that come out of `answers`, one after the other, and then never come. */
function observed(answers: (OperationCounts | Error)[]) {
  const { meterProvider, points } = createCollectedMetrics();
  const clock = createManualClock();
  const store = {
    asked: 0,
    counts(): Promise<OperationCounts> {
      store.asked += 1;
      const answer = answers.shift();
      if (answer === undefined) return new Promise(() => undefined);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const stop = observeCounts(store, { meterProvider, clock });
  // Stopped first, as the provider collects once more when it shuts down.
  onTestFinished(() => {
    stop();
    return meterProvider.shutdown();
  });
  const values = async () => (await points("operations.open"))?.map(([, value]) => value);
  return { points, values, clock, store, stop };
}

describe("observeCounts", () => {
  it("shows what the store counts, by method and state", async () => {
    const { points } = observed([one]);
    expect(await points("operations.open")).toEqual([
      [{ ...of, "connect_longrunning.state": "queued" }, 12],
      [{ ...of, "connect_longrunning.state": "running" }, 3],
    ]);
    expect(await points("operations.lost_attempts")).toEqual([[of, 2]]);
  });

  it("shows the age of the oldest queued operation, and 0 when none is queued", async () => {
    const { points, clock } = observed([one, { open: [], lost: [] }]);
    expect(await points("operations.oldest_queued.age")).toEqual([[of, 90]]);
    await clock.advance(5000);
    expect(await points("operations.oldest_queued.age")).toEqual([[of, 0]]);
  });

  it("asks the store every 5 s at most, however often metrics are collected", async () => {
    const { values, clock, store } = observed([one, two]);
    for (const pastMs of [0, 4999]) {
      await clock.advance(pastMs);
      expect(await values()).toEqual([12, 3]);
    }
    expect(store.asked).toBe(1);
    await clock.advance(1);
    // A series that is no longer counted is reported as 0, not as its last value.
    expect(await values()).toEqual([7, 0]);
    expect(store.asked).toBe(2);
  });

  it("shows the last counts while the store fails or does not answer, and asks again the next time", async () => {
    const { values, clock, store } = observed([new Error("away"), one, new Error("away"), two]);
    expect(await values()).toBeUndefined();
    expect(await values()).toEqual([12, 3]);
    await clock.advance(5000);
    expect(await values()).toEqual([12, 3]);
    expect(await values()).toEqual([7, 0]);
    await clock.advance(5000);
    const collected = values();
    await expect.poll(() => store.asked).toBe(5);
    await clock.advance(5000);
    expect(await collected).toEqual([7, 0]);
  });

  it("asks no more once it is stopped", async () => {
    const { points, store, stop } = observed([one]);
    stop();
    expect(await points("operations.open")).toBeUndefined();
    expect(store.asked).toBe(0);
  });

  it("refuses a negative age", () => {
    expect(() => observeCounts({ counts: async () => one }, { maxAgeMs: -1 })).toThrow(
      /^maxAgeMs must be/,
    );
  });
});
