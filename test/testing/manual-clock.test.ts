import { describe, expect, it } from "vitest";
import { createManualClock } from "../../src/testing/index.js";

describe("createManualClock", () => {
  it("calls what falls due in the order of its time, and shows that time to it", async () => {
    const clock = createManualClock(1000);
    const seen: [string, number][] = [];
    const at = (name: string, delayMs: number) =>
      clock.schedule(delayMs, () => seen.push([name, clock.nowMs()]));
    at("c", 30);
    at("a", 10);
    at("b", 20);
    await clock.advance(25);
    expect(seen).toEqual([
      ["a", 1010],
      ["b", 1020],
    ]);
    expect([clock.nowMs(), clock.scheduled()]).toEqual([1025, 1]);
  });

  it("calls within one advance what is scheduled on the way, also by promises", async () => {
    const clock = createManualClock();
    const seen: number[] = [];
    const again = async () => {
      for (let count = 0; count < 3; count += 1) {
        await new Promise<void>((resolve) => {
          clock.schedule(10, resolve);
        });
        seen.push(count);
      }
    };
    const done = again();
    await clock.advance(30);
    await done;
    expect(seen).toEqual([0, 1, 2]);
  });

  it("does not call what was taken back", async () => {
    const clock = createManualClock();
    const unschedule = clock.schedule(10, () => expect.unreachable());
    unschedule();
    unschedule();
    await clock.advance(100);
    expect(clock.scheduled()).toBe(0);
  });

  it("counts background callbacks only on request, but calls them", async () => {
    const clock = createManualClock();
    let called = 0;
    const note = () => {
      called += 1;
    };
    clock.schedule(10, note, { background: true });
    clock.schedule(20, note);
    expect([clock.scheduled(), clock.scheduled({ background: true })]).toEqual([1, 2]);
    await clock.advance(20);
    expect([called, clock.scheduled({ background: true })]).toEqual([2, 0]);
  });
});
