import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { withOneTimer } from "../../src/internal/one-timer-clock.js";
import { createManualClock } from "../../src/testing/index.js";

describe("a clock with one timer", () => {
  it("calls back when the clock below would, but for what was taken back", async () => {
    const timer = fc.record({
      delayMs: fc.integer({ min: -5, max: 200 }),
      isTakenBack: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(timer, { maxLength: 20 }), async (timers) => {
        const below = createManualClock();
        const clock = withOneTimer(below);
        const startMs = below.nowMs();
        const called: [index: number, afterMs: number][] = [];
        const takeBacks = timers.map(({ delayMs }, index) =>
          clock.schedule(delayMs, () => called.push([index, below.nowMs() - startMs])),
        );
        expect(below.scheduled()).toBe(Math.min(timers.length, 1));
        for (const [index, { isTakenBack }] of timers.entries()) {
          if (isTakenBack) takeBacks[index]?.();
        }
        await below.advance(200);
        const expected = timers.flatMap(({ delayMs, isTakenBack }, index) =>
          isTakenBack ? [] : [[index, Math.max(0, delayMs)] as const],
        );
        expect(new Map(called)).toEqual(new Map(expected));
        expect(called).toHaveLength(expected.length);
        expect(below.scheduled()).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it("leaves what is in the background to the clock below", async () => {
    const below = createManualClock();
    const takeBack = withOneTimer(below).schedule(10, () => undefined, { background: true });
    expect(below.scheduled()).toBe(0);
    expect(below.scheduled({ background: true })).toBe(1);
    takeBack();
    expect(below.scheduled({ background: true })).toBe(0);
  });
});
