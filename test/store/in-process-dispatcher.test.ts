import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { standardDetailsOf } from "../../src/status/index.js";
import { createInProcessDispatcher, type Settlement } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { rejectionOf } from "../support/rejection.js";

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
    for (const name of ["a", "b", "c", "d"]) await dispatcher.dispatch([{ name, method }]);
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
    await dispatcher.dispatch([{ name: "a", method }]);
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
    await dispatcher.dispatch([{ name: "a", method }]);
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
    await dispatcher.dispatch([{ name: "a", method }]);
    const stopped = dispatcher.stop();
    await dispatcher.dispatch([{ name: "b", method }]);
    gate.resolve({ kind: "retry", delayMs: 1 });
    await stopped;
    await clock.advance(1000);
    expect([runs, clock.scheduled()]).toEqual([1, 0]);
  });

  it("queues none of the operations of one call if there is room for some only", async () => {
    const dispatcher = createInProcessDispatcher({ clock: createManualClock(), maxQueued: 2 });
    await dispatcher.dispatch([{ name: "queued", method }]);
    const two = ["a", "b"].map((name) => ({ name, method }));
    expect((await rejectionOf(dispatcher.dispatch(two))).code).toBe(Code.ResourceExhausted);
    expect(dispatcher.queued?.()).toBe(1);
  });

  it("lets no more than maxQueued wait for their turn, and takes more once there is room", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock, maxConcurrent: 1, maxQueued: 2 });
    const gate = createDeferred<Settlement>();
    const ran: string[] = [];
    dispatcher.serve(method, ({ name }) => {
      ran.push(name);
      return gate.promise;
    });
    for (const name of ["runs", "waits", "waits too"])
      await dispatcher.dispatch([{ name, method }]);
    const error = await rejectionOf(dispatcher.dispatch([{ name: "refused", method }]));
    expect(error.code).toBe(Code.ResourceExhausted);
    const details = standardDetailsOf(error);
    expect(details.errorInfo).toMatchObject({ reason: "QUEUE_FULL", metadata: { maxQueued: "2" } });
    expect(details.retryInfo?.retryDelay?.seconds).toBe(60n);
    gate.resolve({ kind: "settled" });
    await clock.advance(0);
    await dispatcher.dispatch([{ name: "later", method }]);
    expect(ran).toEqual(["runs", "waits", "waits too", "later"]);
  });

  it("counts operations of a method without a handler as waiting", async () => {
    const dispatcher = createInProcessDispatcher({ maxQueued: 1 });
    await dispatcher.dispatch([{ name: "a", method }]);
    expect((await rejectionOf(dispatcher.dispatch([{ name: "b", method }]))).code).toBe(
      Code.ResourceExhausted,
    );
    dispatcher.serve(method, async () => ({ kind: "settled" }));
    await dispatcher.dispatch([{ name: "b", method }]);
  });

  it("counts among those that wait the ones whose retry is not due yet", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock, maxQueued: 1 });
    let runs = 0;
    dispatcher.serve(method, async () => {
      runs += 1;
      return runs === 1 ? { kind: "retry", delayMs: 500 } : { kind: "settled" };
    });
    await dispatcher.dispatch([{ name: "a", method }]);
    await clock.advance(0);
    expect((await rejectionOf(dispatcher.dispatch([{ name: "b", method }]))).code).toBe(
      Code.ResourceExhausted,
    );
    await clock.advance(500);
    await dispatcher.dispatch([{ name: "b", method }]);
    expect(runs).toBe(3);
  });

  it("delivers what was dispatched in a transaction once that has committed, and not before", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock });
    const ran: string[] = [];
    dispatcher.serve(method, async ({ name }) => {
      ran.push(name);
      return { kind: "settled" };
    });
    const committed: (() => void)[] = [];
    const transaction = {
      executeSql: async () => ({ rows: [] }),
      afterCommit: (callback: () => void) => committed.push(callback),
    };
    await dispatcher.dispatch([{ name: "a", method }], { transaction });
    await clock.advance(60_000);
    expect(ran).toEqual([]);
    for (const callback of committed) callback();
    expect(ran).toEqual(["a"]);
  });

  it("refuses a transaction that cannot tell when it has committed, and delivers nothing", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock });
    let runs = 0;
    dispatcher.serve(method, async () => {
      runs += 1;
      return { kind: "settled" };
    });
    const transaction = { executeSql: async () => ({ rows: [] }) };
    const error = await rejectionOf(dispatcher.dispatch([{ name: "a", method }], { transaction }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("TRANSACTION_UNSUPPORTED");
    await clock.advance(0);
    expect(runs).toBe(0);
  });

  it.each(["maxConcurrent", "maxQueued"])("refuses nonsense as %s, naming it", (option) => {
    for (const value of [0, 1.5, Number.NaN]) {
      expect(() => createInProcessDispatcher({ [option]: value })).toThrow(option);
    }
  });
});

describe("the turns of an in-process dispatcher", () => {
  /** A dispatcher that runs one operation at a time, and the order of its runs. */
  async function runInTurns(operations: readonly { tenant?: string; method?: string }[]) {
    const dispatcher = createInProcessDispatcher({ maxConcurrent: 1 });
    const ran: string[] = [];
    for (const [at, { tenant, method = "M" }] of operations.entries()) {
      await dispatcher.dispatch([{ name: `${method}${tenant ?? ""}${at}`, method, tenant }]);
    }
    const done = createDeferred();
    for (const method of ["M", "N"]) {
      dispatcher.serve(method, async ({ name }) => {
        ran.push(name);
        if (ran.length === operations.length) done.resolve();
        return { kind: "settled" };
      });
    }
    await done.promise;
    await dispatcher.stop();
    return ran;
  }

  it("go round the tenants, so that one with 10,000 does not keep another waiting", async () => {
    const many = Array.from({ length: 10_000 }, () => ({ tenant: "a" }));
    const ran = await runInTurns([...many, { tenant: "b" }, { tenant: "b" }]);
    expect(ran.indexOf("Mb10000")).toBeLessThan(3);
    expect(ran.indexOf("Mb10001")).toBeLessThan(5);
    expect(ran.filter((name) => name.startsWith("Ma"))).toEqual(many.map((_, at) => `Ma${at}`));
  });

  it("go round the methods", async () => {
    const ran = await runInTurns([{}, {}, {}, { method: "N" }, { method: "N" }]);
    // The first was under way before the other method was served.
    expect(ran).toEqual(["M0", "N3", "M1", "N4", "M2"]);
  });

  it("counts what waits, also for its retry", async () => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ maxConcurrent: 1, clock });
    const gate = createDeferred();
    let runs = 0;
    dispatcher.serve("M", async () => {
      runs += 1;
      if (runs > 1) await gate.promise;
      return runs === 1 ? { kind: "retry", delayMs: 50 } : { kind: "settled" };
    });
    await dispatcher.dispatch([{ name: "operations/1", method: "M" }]);
    await clock.advance(0);
    await dispatcher.dispatch([{ name: "operations/2", method: "M" }]);
    await dispatcher.dispatch([{ name: "operations/3", method: "M" }]);
    expect(dispatcher.queued?.()).toBe(2);
    await clock.advance(50);
    expect(dispatcher.queued?.()).toBe(2);
    gate.resolve();
    await clock.advance(0);
    expect([dispatcher.queued?.(), runs]).toEqual([0, 4]);
    await dispatcher.stop();
  });
});
