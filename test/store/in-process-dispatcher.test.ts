import { describe, expect, it } from "vitest";
import { createInProcessDispatcher, type Settlement } from "../../src/server/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";

const method = "printing.v1.PrintService/Print";

describe("the in-process dispatcher", () => {
  it("runs at most maxConcurrent side by side, first come, first served", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock, maxConcurrent: 2 });
    const started: string[] = [];
    const gates = new Map<string, (settlement: Settlement) => void>();
    dispatcher.serve(method, ({ name }) => {
      started.push(name);
      return new Promise((resolve) => gates.set(name, resolve));
    });
    for (const name of ["a", "b", "c", "d"]) await dispatcher.dispatch({ name, method });
    expect(started).toEqual(["a", "b"]);
    gates.get("b")?.({ kind: "settled" });
    await clock.advance(0);
    expect(started).toEqual(["a", "b", "c"]);
  });

  it("delivers again after the delay that was asked for, and not before", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock });
    let runs = 0;
    dispatcher.serve(method, async () => {
      runs += 1;
      return runs === 1 ? { kind: "retry", delayMs: 500 } : { kind: "settled" };
    });
    await dispatcher.dispatch({ name: "a", method });
    await clock.advance(499);
    expect(runs).toBe(1);
    await clock.advance(1);
    expect(runs).toBe(2);
    expect(clock.scheduled()).toBe(0);
  });

  it("delivers again when a run rejects against its contract", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock });
    let runs = 0;
    dispatcher.serve(method, async () => {
      runs += 1;
      if (runs === 1) throw new Error("a bug");
      return { kind: "settled" };
    });
    await dispatcher.dispatch({ name: "a", method });
    await clock.advance(1000);
    expect(runs).toBe(2);
  });

  it("starts nothing after its stop, also nothing that waits for a retry", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock });
    const gate = createDeferred<Settlement>();
    let runs = 0;
    dispatcher.serve(method, () => {
      runs += 1;
      return gate.promise;
    });
    await dispatcher.dispatch({ name: "a", method });
    const stopped = dispatcher.stop();
    await dispatcher.dispatch({ name: "b", method });
    gate.resolve({ kind: "retry", delayMs: 1 });
    await stopped;
    await clock.advance(1000);
    expect([runs, clock.scheduled()]).toEqual([1, 0]);
  });

  it.each([0, 1.5])("refuses maxConcurrent of %d", (maxConcurrent) => {
    expect(() => createInProcessDispatcher({ maxConcurrent })).toThrow("maxConcurrent");
  });
});
