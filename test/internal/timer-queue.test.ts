import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/internal/clock.js";
import { createTimerQueue, type QueuedTimer } from "../../src/internal/timer-queue.js";
import { createManualClock } from "../../src/testing/index.js";

function aTimer(onDue: () => void = () => undefined): QueuedTimer {
  return { dueMs: 0, place: -1, onDue };
}

/** A clock whose time can be set while its timers go by how much time has really passed. */
function createSettableClock() {
  const manual = createManualClock();
  let setMs = 0;
  const clock: Clock = {
    nowMs: () => manual.nowMs() + setMs,
    schedule: (delayMs, callback) => manual.schedule(delayMs, callback),
  };
  return {
    clock,
    advance: (ms: number) => manual.advance(ms),
    set: (byMs: number) => {
      setMs += byMs;
    },
  };
}

describe("the timer queue", () => {
  it("calls each timer at its time, and takes one timer of the clock for all", async () => {
    const clock = createManualClock();
    const queue = createTimerQueue(clock);
    const due: [delayMs: number, atMs: number][] = [];
    const startMs = clock.nowMs();
    for (const delayMs of [50, 10, 30, 20, 40, 10]) {
      queue.add(
        aTimer(() => due.push([delayMs, clock.nowMs() - startMs])),
        delayMs,
      );
    }
    expect(clock.scheduled()).toBe(1);
    await clock.advance(49);
    expect(due).toEqual([
      [10, 10],
      [10, 10],
      [20, 20],
      [30, 30],
      [40, 40],
    ]);
    await clock.advance(1);
    expect(due.at(-1)).toEqual([50, 50]);
    expect(clock.scheduled()).toBe(0);
  });

  it("calls what is left after any adds and removals in the order of its times", async () => {
    const command = fc.record({
      delayMs: fc.integer({ min: 0, max: 50 }),
      waitMs: fc.integer({ min: 0, max: 3 }),
      removes: fc.option(fc.nat(30), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        // Time goes on by hand here, as every turn of a manual clock is one of the event loop.
        let nowMs = 0;
        const scheduled = new Set<{ atMs: number; callback: () => void }>();
        const clock: Clock = {
          nowMs: () => nowMs,
          schedule(delayMs, callback) {
            const timer = { atMs: nowMs + delayMs, callback };
            scheduled.add(timer);
            return () => scheduled.delete(timer);
          },
        };
        const goTo = (untilMs: number) => {
          for (; nowMs <= untilMs; nowMs += 1) {
            for (const timer of scheduled) {
              if (timer.atMs > nowMs) continue;
              scheduled.delete(timer);
              timer.callback();
            }
          }
          nowMs = untilMs;
        };
        const queue = createTimerQueue(clock);
        const timers: QueuedTimer[] = [];
        const expected = new Map<QueuedTimer, number>();
        const due = new Map<QueuedTimer, number>();
        for (const { delayMs, waitMs, removes } of commands) {
          const timer = aTimer(() => due.set(timer, nowMs));
          timers.push(timer);
          expected.set(timer, nowMs + delayMs);
          queue.add(timer, delayMs);
          const removed = removes === undefined ? undefined : timers[removes];
          if (removed !== undefined && !due.has(removed)) {
            queue.remove(removed);
            expected.delete(removed);
          }
          goTo(nowMs + waitMs);
        }
        goTo(nowMs + 100);
        expect(due).toEqual(expected);
        expect(scheduled.size).toBe(0);
      }),
    );
  });

  it("leaves no timer of the clock once the last is removed, even if it is removed twice", () => {
    const clock = createManualClock();
    const queue = createTimerQueue(clock);
    const timer = aTimer();
    queue.add(timer, 1000);
    queue.remove(timer);
    queue.remove(timer);
    expect(clock.scheduled()).toBe(0);
  });

  it("lets a timer add another and remove one that is due with it", async () => {
    const clock = createManualClock();
    const queue = createTimerQueue(clock);
    const due: string[] = [];
    const removed = aTimer(() => due.push("removed"));
    const added = aTimer(() => due.push("added"));
    queue.add(
      aTimer(() => {
        queue.remove(removed);
        queue.add(added, 5);
      }),
      10,
    );
    queue.add(removed, 10);
    await clock.advance(14);
    expect(due).toEqual([]);
    await clock.advance(1);
    expect(due).toEqual(["added"]);
  });

  it.each([-3_600_000, 3_600_000])(
    "neither holds timers up nor hurries them when the clock is set by %d ms",
    async (byMs) => {
      const { clock, advance, set } = createSettableClock();
      const queue = createTimerQueue(clock);
      const due: string[] = [];
      queue.add(
        aTimer(() => due.push("early")),
        10_000,
      );
      queue.add(
        aTimer(() => due.push("late")),
        30_000,
      );
      await advance(5000);
      set(byMs);
      await advance(4999);
      expect(due).toEqual([]);
      await advance(1);
      expect(due).toEqual(["early"]);
      await advance(20_000 - 1001);
      expect(due).toEqual(["early"]);
      await advance(1001);
      expect(due).toEqual(["early", "late"]);
    },
  );

  it("waits for longer than a timer of the machine can", async () => {
    const clock = createManualClock();
    const delays: number[] = [];
    const queue = createTimerQueue({
      nowMs: clock.nowMs,
      schedule(delayMs, callback) {
        delays.push(delayMs);
        return clock.schedule(delayMs, callback);
      },
    });
    const fortyDaysMs = 40 * 24 * 60 * 60 * 1000;
    let isDue = false;
    queue.add(
      aTimer(() => {
        isDue = true;
      }),
      fortyDaysMs,
    );
    await clock.advance(fortyDaysMs - 1);
    expect(isDue).toBe(false);
    await clock.advance(1);
    expect(isDue).toBe(true);
    expect(Math.max(...delays)).toBeLessThan(2 ** 31);
  });
});
