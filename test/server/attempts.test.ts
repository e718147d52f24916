import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import type { Operation } from "../../src/protos.js";
import { errorFromStatus, standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
  type Delivery,
  type Dispatcher,
  type OperationStore,
  type Settlement,
  type SignalKind,
  type Signals,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createCountedAbort } from "../support/counted-signal.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print, type PrintWork } from "../support/print-server.js";

const method = "printing.v1.PrintService/Print";
const never = () => new Promise<never>(() => undefined);
const live = () => new AbortController().signal;

/** Work that stops as soon as it is asked to. */
const untilAborted: PrintWork = ({ signal }) =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** A store that its server's shutdown does not close, and the clock that it goes by. */
function createKeptStore() {
  const clock = createManualClock();
  const store: OperationStore = { ...createMemoryStore({ clock }), close: async () => undefined };
  return { clock, store };
}

/** A dispatcher that forgets what is put in it; the test delivers instead. */
function createHandDispatcher() {
  let runner: (delivery: Delivery) => Promise<Settlement> = never;
  const dispatcher: Dispatcher = {
    isDurable: true,
    dispatch: async () => undefined,
    serve(_, run) {
      runner = run;
    },
    stop: async () => undefined,
  };
  const deliver = (name: string, signal = live()) => runner({ name, method, signal });
  return { dispatcher, deliver };
}

/** A server whose deliveries the test makes, over a store that the test can reach. */
function createHandServer(
  work: PrintWork,
  init: { store?: Partial<OperationStore>; signals?: Signals; maxLostAttempts?: number } = {},
) {
  const { clock, store } = createKeptStore();
  const { dispatcher, deliver } = createHandDispatcher();
  const given = { ...init, clock, dispatcher, store: { ...store, ...init.store } };
  return { ...createPrintServer(work, given), store, deliver };
}

/** The error that an operation ended with. */
function errorOf({ result }: Operation): ConnectError {
  assert(result.case === "error");
  return errorFromStatus(result.value);
}

const reasonOf = (operation: Operation) => standardDetailsOf(errorOf(operation)).errorInfo?.reason;

/** Signals that lose everything, so that waiters have to poll. */
const lossySignals: Signals = {
  pollIntervalMs: 5000,
  subscribe: async () => () => undefined,
  publish: async () => undefined,
  close: async () => undefined,
};

describe("taking a delivery", () => {
  it("does not take an operation for a delivery that is lost already", async () => {
    const { operations, store, deliver } = createHandServer(never);
    const { name } = await operations.start(Print, {});
    await store.claim(name);
    expect(await deliver(name, AbortSignal.abort())).toEqual({ kind: "settled" });
    expect(await store.get(name)).toMatchObject({ state: "running", attempt: 1 });
  });

  it("gives an operation back whose delivery was lost while it was claimed", async () => {
    const claiming = createDeferred();
    let runs = 0;
    const { operations, store, deliver, events, clock } = createHandServer(
      () => {
        runs += 1;
        return {};
      },
      {
        store: {
          async claim(...call) {
            await claiming.promise;
            return store.claim(...call);
          },
        },
      },
    );
    const { name } = await operations.start(Print, {});
    const lease = new AbortController();
    const settlement = deliver(name, lease.signal);
    await clock.advance(0);
    lease.abort();
    claiming.resolve();
    expect(await settlement).toEqual({ kind: "settled" });
    expect(runs).toBe(0);
    expect(await store.get(name)).toMatchObject({ state: "queued", result: undefined, losses: 0 });
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
  });

  it.each([0, 1])(
    "leaves an attempt alone that began while its claim was on its way, after %s lost attempts",
    async (losses) => {
      const arriving = createDeferred();
      const arrived = createDeferred();
      let runs = 0;
      const { operations, store, deliver, events } = createHandServer(
        () => {
          runs += 1;
          return {};
        },
        {
          store: {
            async claim(name, options) {
              // The claim that would succeed: of a queued operation, or over the lost attempt.
              if (options?.lostAttempt === losses) {
                arrived.resolve();
                await arriving.promise;
              }
              return store.claim(name, options);
            },
          },
        },
      );
      const { name } = await operations.start(Print, {});
      for (let lost = 0; lost < losses; lost += 1) await store.claim(name);
      const lease = new AbortController();
      const settlement = deliver(name, lease.signal);
      await arrived.promise;
      // Another process has the operation now, and this one does not know it yet.
      const healthy = await store.claim(name);
      assert(healthy !== undefined);
      arriving.resolve();
      // It finds the other's attempt; its lease ends before it claims over that.
      store.get(name).then(() => lease.abort());
      expect(await settlement).toEqual({ kind: "settled" });
      expect(runs).toBe(0);
      expect(events).toEqual([]);
      expect(await store.look(healthy)).toMatchObject({ attempt: losses + 1, losses });
    },
  );

  it("takes over the attempt that it finds running, if its delivery holds", async () => {
    const { operations, store, deliver, client } = createHandServer(() => ({ pages: 2 }));
    const { name } = await operations.start(Print, {});
    await store.claim(name);
    // A deletion does not stop the work.
    await store.hide(name);
    expect(await deliver(name)).toEqual({ kind: "settled" });
    const record = await store.get(name, { evenHidden: true });
    expect(record).toMatchObject({ state: "done", attempt: 2, losses: 1 });
    await expect(client.get(name)).rejects.toMatchObject({ code: Code.NotFound });
  });

  it("publishes the end of an operation although the answer to its terminal write is lost", async () => {
    const ends: string[] = [];
    let writes = 0;
    const { clock, store } = createKeptStore();
    const { dispatcher, deliver } = createHandDispatcher();
    const { operations, rpc, events } = createPrintServer(() => ({ pages: 3 }), {
      clock,
      dispatcher,
      store: {
        ...store,
        async finish(...args) {
          writes += 1;
          const done = await store.finish(...args);
          if (writes === 1) throw new ConnectError("no answer", Code.Unavailable);
          return done;
        },
      },
      observer: { ended: ({ name }) => ends.push(name) },
    });
    const { name } = await operations.start(Print, {}, { resource: "printers/1" });
    const next = await operations.start(Print, {}, { resource: "printers/1" });
    const waited = rpc.waitOperation({ name });
    await clock.advance(0);
    const settlement = deliver(name);
    // The pause before the second try.
    await clock.advance(100);
    expect(await settlement).toEqual({ kind: "settled" });
    expect((await waited).done).toBe(true);
    expect(ends).toEqual([name]);
    expect((await store.get(next.name))?.state).toBe("queued");
    expect(events.map(({ kind }) => kind)).toEqual(["store-failed"]);
  });

  it("server 56: ends an operation that was cancelled before its redelivery, without running it again", async () => {
    let runs = 0;
    const { operations, store, client, deliver } = createHandServer(() => {
      runs += 1;
      return {};
    });
    const { name } = await operations.start(Print, {});
    await store.claim(name);
    await client.cancel(name);
    expect(await deliver(name)).toEqual({ kind: "settled" });
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
    expect(runs).toBe(0);
  });

  it("gives up with ABORTED, WORKER_LOST, once maxLostAttempts were lost, and no sooner", async () => {
    const attempts: number[] = [];
    const { operations, client, deliver, clock } = createHandServer(
      ({ attempt }) => {
        attempts.push(attempt);
        return never();
      },
      { maxLostAttempts: 3 },
    );
    const { name } = await operations.start(Print, {});
    for (let lost = 0; lost < 3; lost += 1) {
      void deliver(name);
      await clock.advance(0);
    }
    expect((await client.get(name)).done).toBe(false);
    expect(await deliver(name)).toEqual({ kind: "settled" });
    const error = errorOf(await client.get(name));
    expect(error.code).toBe(Code.Aborted);
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "WORKER_LOST",
      metadata: { attempts: "3" },
    });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it("counts no attempt as lost that a shutdown handed over", async () => {
    const { operations, store, client, deliver } = createHandServer(() => ({ pages: 1 }), {
      maxLostAttempts: 1,
    });
    const { name } = await operations.start(Print, {});
    for (let count = 0; count < 5; count += 1) {
      const claim = await store.claim(name);
      assert(claim);
      await store.release(claim, true, { kind: "error", value: new Uint8Array() });
    }
    await deliver(name);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it("tries a claim again that the store failed, a second later", async () => {
    const { clock, store } = createKeptStore();
    const cause = new ConnectError("away", Code.Unavailable);
    let failures = 1;
    const { operations, client, events } = createPrintServer(() => ({ pages: 1 }), {
      clock,
      store: {
        ...store,
        async claim(name) {
          failures -= 1;
          if (failures >= 0) throw cause;
          return store.claim(name);
        },
      },
    });
    const { name } = await operations.start(Print, {});
    await clock.advance(999);
    expect((await client.get(name)).done).toBe(false);
    expect(events).toEqual([{ kind: "store-failed", action: `run ${name}`, cause }]);
    await clock.advance(1);
    expect((await client.get(name)).result.case).toBe("response");
  });
});

describe("an attempt that is over", () => {
  /** Signals that count who is subscribed. */
  function createCountedSignals() {
    const inner = createInProcessSignals();
    const counts = { subscribed: 0, now: 0 };
    const signals: Signals = {
      ...inner,
      async subscribe(...args) {
        const unsubscribe = await inner.subscribe(...args);
        counts.subscribed += 1;
        counts.now += 1;
        return () => {
          counts.now -= 1;
          unsubscribe();
        };
      },
    };
    return { signals, counts };
  }

  it.each<[string, PrintWork]>([
    ["returned", () => ({ pages: 1 })],
    ["threw", () => Promise.reject(new ConnectError("no paper", Code.Aborted))],
  ])("listens to nothing any more when the work %s", async (_, work) => {
    const { signals, counts } = createCountedSignals();
    const { operations, deliver, clock } = createHandServer(work, { signals });
    const lease = createCountedAbort();
    for (let count = 0; count < 3; count += 1) {
      const { name } = await operations.start(Print, {});
      await deliver(name, lease.signal);
    }
    expect(counts).toEqual({ subscribed: 3, now: 0 });
    expect([lease.listeners(), clock.scheduled()]).toEqual([0, 0]);
  });

  it("listens to nothing any more when there was nothing to run or the claim failed", async () => {
    const { signals, counts } = createCountedSignals();
    const { operations, deliver, client } = createHandServer(never, {
      signals,
      store: { claim: () => Promise.reject(new ConnectError("away", Code.Unavailable)) },
    });
    const { name } = await operations.start(Print, {});
    const lease = createCountedAbort();
    expect(await deliver(name, lease.signal)).toMatchObject({ kind: "retry" });
    expect(await deliver(name, AbortSignal.abort())).toEqual({ kind: "settled" });
    await client.cancel(name);
    expect([counts.subscribed, counts.now, lease.listeners()]).toEqual([2, 0, 0]);
  });

  it("polls no more", async () => {
    const { operations, deliver, clock } = createHandServer(() => ({}), { signals: lossySignals });
    const { name } = await operations.start(Print, {});
    await deliver(name);
    expect(clock.scheduled()).toBe(0);
  });
});

describe("an attempt whose signals get lost", () => {
  it("finds by looking that the operation was cancelled, although it was deleted since", async () => {
    const reason = createDeferred<unknown>();
    const { operations, client, deliver, clock } = createHandServer(
      (operation) => {
        const { signal } = operation;
        signal.addEventListener("abort", () => reason.resolve(signal.reason), { once: true });
        return untilAborted(operation);
      },
      { signals: lossySignals },
    );
    const { name } = await operations.start(Print, {});
    const settlement = deliver(name);
    await clock.advance(0);
    await client.cancel(name);
    await client.delete(name);
    await clock.advance(5000);
    expect(await reason.promise).toMatchObject({ code: Code.Canceled });
    expect(await settlement).toEqual({ kind: "settled" });
    expect(clock.scheduled()).toBe(0);
  });

  it("finds by looking that another has taken over, and writes nothing", async () => {
    const { operations, client, store, deliver, clock, events } = createHandServer(untilAborted, {
      signals: lossySignals,
    });
    const { name } = await operations.start(Print, {});
    const settlement = deliver(name);
    await clock.advance(0);
    await store.claim(name);
    await clock.advance(5000);
    expect(await settlement).toEqual({ kind: "settled" });
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
    expect((await client.get(name)).done).toBe(false);
  });

  it("goes on, and looks again, while the store cannot be reached", async () => {
    let looks = 0;
    const { operations, client, store, deliver, clock } = createHandServer(untilAborted, {
      signals: lossySignals,
      store: {
        async look(claim) {
          looks += 1;
          if (looks < 3) throw new ConnectError("away", Code.Unavailable);
          return store.look(claim);
        },
      },
    });
    const { name } = await operations.start(Print, {});
    void deliver(name);
    await clock.advance(0);
    await client.cancel(name);
    await clock.advance(14_999);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
  });

  it("reads at once when signals were missed", async () => {
    const inner = createInProcessSignals();
    let notifySafely: (kind: SignalKind) => void = () => undefined;
    const { operations, client, deliver, clock } = createHandServer(untilAborted, {
      signals: {
        ...inner,
        async subscribe(_, listener) {
          notifySafely = listener;
          return () => undefined;
        },
      },
    });
    const { name } = await operations.start(Print, {});
    void deliver(name);
    await clock.advance(0);
    await client.cancel(name);
    await clock.advance(60_000);
    expect((await client.get(name)).done).toBe(false);
    notifySafely("missed");
    await clock.advance(0);
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
  });
});

describe("the terminal write", () => {
  it("ends the operation with UNKNOWN when its result is refused for good; the work runs once", async () => {
    let runs = 0;
    const refused = new ConnectError("value too large", Code.InvalidArgument);
    const { clock, store } = createKeptStore();
    const { operations, client, events } = createPrintServer(
      () => {
        runs += 1;
        return { pages: 1 };
      },
      {
        clock,
        store: {
          ...store,
          async finish(claim, result, ...rest) {
            if (result.kind === "response") throw refused;
            return store.finish(claim, result, ...rest);
          },
        },
      },
    );
    const { name } = await operations.start(Print, {});
    await clock.advance(60 * 60 * 1000);
    const operation = await client.get(name);
    expect(errorOf(operation).code).toBe(Code.Unknown);
    expect(reasonOf(operation)).toBe("WORK_FAILED");
    expect(errorOf(operation).rawMessage).not.toContain("too large");
    expect(events).toContainEqual({
      kind: "work-failed",
      name,
      method,
      attempt: 1,
      cause: refused,
    });
    expect(runs).toBe(1);
  });

  it("is not tried again after the store was closed", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { operations, clock, events } = createPrintServer(() => gate.promise);
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(1010);
    await stopped;
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect(clock.scheduled()).toBe(0);
    await clock.advance(60_000);
    const actions = events.flatMap((event) => ("action" in event ? [event.action] : [event.kind]));
    expect(actions).toEqual(["work-abandoned", `finish ${name}`, `run ${name}`]);
  });

  it("leaves no timer behind when the store is closed between two tries", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const { operations } = createPrintServer(() => ({ pages: 1 }), {
      clock,
      store: { ...store, finish: () => Promise.reject(new ConnectError("away", Code.Unavailable)) },
    });
    await operations.start(Print, {});
    await clock.advance(5000);
    expect(clock.scheduled()).toBe(1);
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(1010);
    await stopped;
    await clock.advance(0);
    expect(clock.scheduled()).toBe(0);
  });
});

describe("the end of an attempt", () => {
  it("server 3: has no code 0, whatever the work throws", async () => {
    const { operations, client, deliver } = createHandServer(() =>
      Promise.reject(new ConnectError("odd", Number("0"))),
    );
    const { name } = await operations.start(Print, {});
    await deliver(name);
    expect(errorOf(await client.get(name)).code).toBe(Code.Unknown);
    const external = await operations.create(Print, {});
    await operations.fail(external.name, new ConnectError("odd", Number("0")));
    expect(errorOf(await client.get(external.name)).code).toBe(Code.Unknown);
  });

  it("logs an exception that is not a ConnectError and comes after a request to cancel", async () => {
    const cause = new TypeError("clean-up failed");
    const { operations, client, deliver, clock, events } = createHandServer(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(cause), { once: true });
        }),
    );
    const { name } = await operations.start(Print, {});
    const settlement = deliver(name);
    await clock.advance(0);
    await client.cancel(name);
    await settlement;
    expect(errorOf(await client.get(name)).code).toBe(Code.Canceled);
    expect(events).toEqual([{ kind: "work-failed", name, method, attempt: 1, cause }]);
  });
});

describe("reports while the store is away", () => {
  it("are tried ever less often, at least every ten seconds, and logged once", async () => {
    const times: number[] = [];
    const { operations, deliver, clock, events } = createHandServer(
      (operation) => {
        operation.report({ pagesPrinted: 1 });
        return never();
      },
      {
        store: {
          report() {
            times.push(clock.nowMs());
            return Promise.reject(new ConnectError("away", Code.Unavailable));
          },
        },
      },
    );
    const { name } = await operations.start(Print, {});
    void deliver(name);
    await clock.advance(60_000);
    const pauses = times.slice(1).map((time, at) => time - (times[at] ?? 0));
    expect(pauses.slice(0, 9)).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    expect(events).toMatchObject([{ kind: "store-failed", action: `report ${name}` }]);
  });
});

describe("a shutdown", () => {
  it("hands over what it claimed too late, without running it, and counts no attempt", async () => {
    const { clock, store } = createKeptStore();
    let ran = false;
    const claiming = createDeferred();
    const { operations } = createPrintServer(
      () => {
        ran = true;
        return {};
      },
      {
        clock,
        store: {
          ...store,
          async claim(name) {
            await claiming.promise;
            return store.claim(name);
          },
        },
      },
    );
    const { name } = await operations.start(Print, {});
    const stopped = operations.shutdown({ graceMs: 100 });
    await clock.advance(100);
    claiming.resolve();
    await stopped;
    expect(await store.get(name)).toMatchObject({ state: "queued", attempt: 1, handovers: 1 });
    expect([ran, clock.scheduled()]).toEqual([false, 0]);
  });

  it("server 56: ends with CANCELLED what is cancelled while it is handed over, and wakes who waits", async () => {
    const { clock, store } = createKeptStore();
    const signals = { ...createInProcessSignals(), close: async () => undefined };
    const { client } = createPrintServer(never, { clock, store, signals });
    const releasing = createDeferred();
    const first = createPrintServer(untilAborted, {
      clock,
      signals,
      store: {
        ...store,
        async release(...args) {
          await releasing.promise;
          return store.release(...args);
        },
      },
    });
    const { name } = await first.operations.start(Print, {});
    await clock.advance(0);
    const stopped = first.operations.shutdown({ graceMs: 10 });
    await clock.advance(10);
    await client.cancel(name);
    const waiting = client.wait(name, 50_000);
    await clock.advance(0);
    releasing.resolve();
    await stopped;
    expect(errorOf(await waiting).code).toBe(Code.Canceled);
    expect(clock.scheduled()).toBe(0);
  });

  it("keeps the last report of the work that it hands over", async () => {
    const { clock, store } = createKeptStore();
    const { client } = createPrintServer(never, { clock, store });
    const { operations } = createPrintServer(
      (operation) => {
        for (let page = 1; page <= 7; page += 1) operation.report({ pagesPrinted: page });
        return untilAborted(operation);
      },
      { clock, store, reportIntervalMs: 60_000 },
    );
    const { name } = await operations.start(Print, {});
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(10);
    await stopped;
    expect((await client.resume(Print, name)).snapshot.metadata?.pagesPrinted).toBe(7);
    expect(await store.get(name)).toMatchObject({ state: "queued", handovers: 1 });
  });

  it("closes the store although the signals fail to close, and says so", async () => {
    const { clock, store } = createKeptStore();
    const cause = new ConnectError("away", Code.Unavailable);
    let closed = false;
    const { operations, events } = createPrintServer(never, {
      clock,
      store: {
        ...store,
        async close() {
          closed = true;
        },
      },
      signals: { ...createInProcessSignals(), close: () => Promise.reject(cause) },
    });
    await operations.shutdown();
    expect(closed).toBe(true);
    expect(events).toEqual([{ kind: "store-failed", action: "close", cause }]);
  });

  it("waits for a start that is under way, and then for its work", async () => {
    const { clock, store } = createKeptStore();
    const inserting = createDeferred();
    const { operations } = createPrintServer(() => ({ pages: 1 }), {
      clock,
      dispatcher: createInProcessDispatcher({ clock }),
      store: {
        ...store,
        async insert(...args) {
          await inserting.promise;
          return store.insert(...args);
        },
      },
    });
    const started = operations.start(Print, {});
    await clock.advance(0);
    const stopped = operations.shutdown();
    inserting.resolve();
    const { name } = await started;
    await stopped;
    expect((await store.get(name))?.state).toBe("done");
  });
});
