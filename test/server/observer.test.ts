import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { ObservedWake, OperationsObserver } from "../../src/server/index.js";
import { createMemoryStore, type Signals } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { never, untilAborted } from "../support/print-work.js";

const method = "printing.v1.PrintService/Print";

/** An observer, and its calls in order. */
function createListener() {
  const heard: [what: string, of: unknown][] = [];
  const note = (what: string) => (of: unknown) => {
    heard.push([what, of]);
  };
  const observer: OperationsObserver = {
    started: note("started"),
    claimed(run) {
      heard.push(["claimed", run]);
      return {
        within(work) {
          heard.push(["within", undefined]);
          work();
        },
        settled: (runMs, thrown) => heard.push(["settled", { runMs, thrown }]),
      };
    },
    retried: note("retried"),
    lost: note("lost"),
    ended: note("ended"),
  };
  const of = (what: string) => heard.filter(([kind]) => kind === what).map(([, event]) => event);
  return { observer, heard, of };
}

describe("a server's observer", () => {
  it("hears how many wait, as they come and go", async () => {
    const counts: number[] = [];
    const observer = { waitersChanged: (count: number) => counts.push(count) };
    const { operations, client, clock } = createPrintServer(never, { observer });
    const { name } = await operations.create(Print, {});
    const controller = new AbortController();
    const left = client.wait(name, 50_000, { signal: controller.signal }).catch(() => undefined);
    await clock.advance(0);
    const stayed = client.wait(name, 50_000);
    await clock.advance(0);
    controller.abort();
    await left;
    await clock.advance(0);
    await operations.succeed(Print, name, {});
    await stayed;
    expect(counts).toEqual([1, 2, 1, 0]);
  });

  it("reports the delay between the end and each waiter's response, and no other calls", async () => {
    const wakes: ObservedWake[] = [];
    // No signal is delivered, so that waiters depend on their polls.
    const signals: Signals = {
      pollIntervalMs: 5000,
      subscribe: async () => () => undefined,
      publish: async () => undefined,
      close: async () => undefined,
    };
    const observer = { woken: (wake: ObservedWake) => void wakes.push(wake) };
    const { operations, client, clock } = createPrintServer(never, { observer, signals });
    const [awaited, left] = [
      await operations.create(Print, {}),
      await operations.create(Print, {}),
    ];
    const waits = [client.wait(awaited.name, 60_000), client.wait(awaited.name, 60_000)];
    const inVain = client.wait(left.name, 1000);
    await clock.advance(2000);
    await inVain;
    await operations.succeed(Print, awaited.name, {});
    await clock.advance(3000);
    await Promise.all(waits);
    await client.wait(awaited.name, 60_000);
    const wake = { name: awaited.name, method, wakeMs: 3000 };
    expect(wakes.map(({ wakeMs, ...rest }) => ({ ...rest, wakeMs: Math.round(wakeMs) }))).toEqual([
      wake,
      wake,
    ]);
  });

  it("is called for a start, for the run with its time in the queue, and of the end", async () => {
    const { observer, heard } = createListener();
    const gates = [createDeferred<{ pages: number }>(), createDeferred<{ pages: number }>()];
    const { printer, clock } = createPrintServer(
      ({ request }) => gates[request.pages]?.promise ?? {},
      {
        observer,
        method: { maxConcurrent: 1 },
      },
    );
    const first = await printer.print({ pages: 0 });
    const second = await printer.print({ pages: 1 });
    await clock.advance(2000);
    heard.length = 0;
    gates[0]?.resolve({ pages: 1 });
    await clock.advance(3000);
    gates[1]?.resolve({ pages: 1 });
    await clock.advance(0);
    const totalMs = expect.closeTo(5000, 1);
    expect(heard).toEqual([
      ["settled", { runMs: 2000, thrown: undefined }],
      [
        "ended",
        { name: first.name, method, code: 0, runMs: 2000, totalMs: expect.closeTo(2000, 1) },
      ],
      ["claimed", { name: second.name, method, attempt: 1, queueMs: expect.closeTo(2000, 1) }],
      ["within", undefined],
      ["settled", { runMs: 3000, thrown: undefined }],
      ["ended", { name: second.name, method, code: 0, runMs: 3000, totalMs }],
    ]);
  });

  it("is called for retries, and for an end with its code", async () => {
    const { observer, of } = createListener();
    const thrown = new ConnectError("away", Code.Unavailable);
    const { printer, clock } = createPrintServer(() => Promise.reject(thrown), {
      observer,
      method: { retry: { maxAttempts: 2 } },
    });
    const { name } = await printer.print({});
    await clock.advance(5000);
    expect(of("retried")).toEqual([{ name, method, attempt: 1, delayMs: 1000, thrown }]);
    expect(of("claimed")).toMatchObject([{ attempt: 1 }, { attempt: 2, queueMs: undefined }]);
    expect(of("ended")).toMatchObject([{ name, code: Code.Unavailable, runMs: 0 }]);
  });

  it("is called for ends without a run: cancelled, overdue, pre-empted, at once, from outside", async () => {
    const { observer, of } = createListener();
    const { operations, printer, client, clock } = createPrintServer(never, {
      observer,
      method: {
        maxConcurrent: 1,
        tryNow: ({ pages }) => (pages === 7 ? { pages } : undefined),
        parallel: "preempt",
      },
    });
    await printer.print({});
    const queued = await printer.print({});
    await client.cancel(queued.name);
    const now = await printer.print({ pages: 7 });
    const overdue = await operations.create(Print, {}, { deadlineMs: 1000 });
    await clock.advance(2000);
    const older = await operations.create(Print, {}, { resource: "r" });
    const newer = await operations.create(Print, {}, { resource: "r" });
    await operations.succeed(Print, newer.name, {});
    const ends = [queued, now, overdue, older, newer].map(({ name }) => name);
    expect(of("ended")).toMatchObject(
      [Code.Canceled, 0, Code.DeadlineExceeded, Code.Aborted, 0].map((code, at) => ({
        name: ends[at],
        code,
        runMs: undefined,
      })),
    );
    expect(of("started")).toHaveLength(6);
  });

  it("is called for an attempt that has lost its operation", async () => {
    const { observer, of } = createListener();
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const { printer } = createPrintServer(untilAborted, { observer, clock, store, deadlineMs: 10 });
    const { name } = await printer.print({});
    await clock.advance(10);
    expect(of("lost")).toEqual([{ name, method, attempt: 1 }]);
    expect(of("ended")).toMatchObject([{ name, code: Code.DeadlineExceeded }]);
  });

  it("hears how many wait for their turn", async () => {
    const depths: number[] = [];
    const gate = createDeferred<{ pages: number }>();
    const { printer, clock } = createPrintServer(() => gate.promise, {
      observer: { queueDepthChanged: (depth) => depths.push(depth) },
      method: { maxConcurrent: 1 },
    });
    for (let count = 0; count < 3; count += 1) await printer.print({});
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect(Math.max(...depths)).toBe(2);
    expect(depths.at(-1)).toBe(0);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("x"))],
    [
      "throws at once",
      () => {
        throw new Error("x");
      },
    ],
  ])("stands in the way of nothing where it %s", async (_, fail: () => void) => {
    const observation = { within: fail, settled: fail };
    let runs = 0;
    const { printer, clock, client, events } = createPrintServer(
      () => {
        runs += 1;
        if (runs === 1) throw new ConnectError("away", Code.Unavailable);
        return { pages: 1 };
      },
      {
        observer: {
          started: fail,
          claimed: () => observation,
          retried: fail,
          lost: fail,
          ended: fail,
          queueDepthChanged: fail,
        },
        method: { retry: {} },
      },
    );
    const { name } = await printer.print({});
    await clock.advance(5000);
    expect((await client.get(name)).result.case).toBe("response");
    expect([runs, events]).toEqual([2, []]);
  });

  it("that does not call the work, calls it twice or fails before does not keep it from running, once", async () => {
    let runs = 0;
    const run = () => {
      runs += 1;
      return { pages: runs };
    };
    const claimed: OperationsObserver["claimed"][] = [
      () => ({ within: () => undefined }),
      () => ({ within: (work) => [work(), work()] }),
      () => {
        throw new Error("x");
      },
    ];
    for (const observe of claimed) {
      const { printer, clock } = createPrintServer(run, { observer: { claimed: observe } });
      await printer.print({});
      await clock.advance(0);
    }
    expect(runs).toBe(3);
  });
});
