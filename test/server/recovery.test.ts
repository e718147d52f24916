import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createMemoryStore,
  type Dispatcher,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);

/** A store that outlives the servers over it, and the clock that they share. */
function createKeptStore() {
  const clock = createManualClock();
  const store: OperationStore = { ...createMemoryStore({ clock }), close: async () => undefined };
  return { clock, store };
}

/** A queue that notes what is put in it and delivers nothing. */
function createNotingDispatcher(init: Partial<Dispatcher> = {}) {
  const dispatched: string[] = [];
  const dispatcher: Dispatcher = {
    isDurable: false,
    async dispatch(operations) {
      dispatched.push(...operations.map(({ name }) => name));
    },
    serve: () => undefined,
    stop: async () => undefined,
    ...init,
  };
  return { dispatcher, dispatched };
}

/** A server that starts `count` operations over this store and dies before it runs them. */
async function leaveBehind({ clock, store }: ReturnType<typeof createKeptStore>, count: number) {
  const { dispatcher } = createNotingDispatcher();
  const { operations } = createPrintServer(never, { clock, store, dispatcher });
  const names: string[] = [];
  for (let at = 0; at < count; at += 1) names.push((await operations.start(Print, {})).name);
  return names;
}

describe("a server over a store that outlived the last one", () => {
  it("dispatches what was queued or running, hidden or not, and nothing else, oldest first", async () => {
    const kept = createKeptStore();
    const { clock, store } = kept;
    const [queued = "", running = "", done = "", hidden = ""] = await leaveBehind(kept, 4);
    await store.claim(running);
    const claim = await store.claim(done);
    if (claim) await store.finish(claim, { kind: "response", value: new Uint8Array() });
    await store.hide(hidden);
    const { operations } = createPrintServer(never, { ...kept, ...createNotingDispatcher() });
    await operations.create(Print, {});
    const { dispatcher, dispatched } = createNotingDispatcher();
    createPrintServer(never, { clock, store, dispatcher });
    await clock.advance(0);
    expect(dispatched).toEqual([queued, running, hidden]);
  });

  it("runs them to their end, as their next attempt", async () => {
    const kept = createKeptStore();
    const [queued = "", running = ""] = await leaveBehind(kept, 2);
    await kept.store.claim(running);
    const attempts = new Map<string, number>();
    const { client, clock } = createPrintServer(({ name, attempt }) => {
      attempts.set(name, attempt);
      return { pages: 1 };
    }, kept);
    await clock.advance(0);
    expect([...attempts]).toEqual([
      [queued, 1],
      [running, 2],
    ]);
    expect((await client.get(queued)).result.case).toBe("response");
    expect((await client.get(running)).result.case).toBe("response");
  });

  it("runs what its own predecessor handed over at its shutdown", async () => {
    const kept = createKeptStore();
    const { clock } = kept;
    const first = createPrintServer(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
      kept,
    );
    const { name } = await first.operations.start(Print, {});
    await clock.advance(0);
    const stopped = first.operations.shutdown({ graceMs: 10 });
    await clock.advance(10);
    await stopped;
    const second = createPrintServer(() => ({ pages: 1 }), kept);
    await clock.advance(0);
    expect((await second.client.get(name)).result.case).toBe("response");
  });

  it("dispatches each of more than a page once", async () => {
    const kept = createKeptStore();
    const names = await leaveBehind(kept, 2001);
    const { dispatcher, dispatched } = createNotingDispatcher();
    createPrintServer(never, { ...kept, dispatcher });
    await kept.clock.advance(0);
    expect(dispatched).toEqual(names);
  });

  it("starts nothing new before it has recovered, and dispatches nothing twice", async () => {
    const kept = createKeptStore();
    const { clock, store } = kept;
    const [old] = await leaveBehind(kept, 1);
    const gate = createDeferred();
    const { dispatcher, dispatched } = createNotingDispatcher();
    const { operations } = createPrintServer(never, {
      clock,
      dispatcher,
      store: {
        ...store,
        async unfinished(query) {
          await gate.promise;
          return store.unfinished(query);
        },
      },
    });
    const started = operations.start(Print, {});
    await clock.advance(0);
    expect(dispatched).toEqual([]);
    gate.resolve();
    const { name } = await started;
    expect(dispatched).toEqual([old, name]);
  });

  it("refuses a start that would wait too long for the recovery, with RetryInfo", async () => {
    const kept = createKeptStore();
    const { clock, store } = kept;
    const { operations } = createPrintServer(never, {
      clock,
      store: { ...store, unfinished: never },
    });
    const error = rejectionOf(operations.start(Print, {}));
    await clock.advance(4999);
    expect(clock.scheduled()).toBe(1);
    await clock.advance(1);
    const { code } = await error;
    const details = standardDetailsOf(await error);
    expect(code).toBe(Code.Unavailable);
    expect(details.errorInfo?.reason).toBe("RECOVERING");
    expect(details.retryInfo?.retryDelay?.seconds).toBe(1n);
    expect(clock.scheduled()).toBe(0);
  });

  it("leaves to a durable dispatcher what that has kept", async () => {
    const kept = createKeptStore();
    await leaveBehind(kept, 1);
    const { dispatcher, dispatched } = createNotingDispatcher({ isDurable: true });
    const { operations } = createPrintServer(never, { ...kept, dispatcher });
    const { name } = await operations.start(Print, {});
    await kept.clock.advance(60_000);
    expect(dispatched).toEqual([name]);
  });

  it("asks a store again that is away at first, and says so", async () => {
    const kept = createKeptStore();
    const { clock, store } = kept;
    const names = await leaveBehind(kept, 1);
    const cause = new ConnectError("away", Code.Unavailable);
    let failures = 2;
    const { dispatcher, dispatched } = createNotingDispatcher();
    const { events } = createPrintServer(never, {
      clock,
      dispatcher,
      store: {
        ...store,
        async unfinished(query) {
          failures -= 1;
          if (failures >= 0) throw cause;
          return store.unfinished(query);
        },
      },
    });
    await clock.advance(1999);
    expect(dispatched).toEqual([]);
    await clock.advance(1);
    expect(dispatched).toEqual(names);
    const event = { kind: "store-failed", action: "recover", cause };
    expect(events).toEqual([event, event]);
    expect(clock.scheduled()).toBe(0);
  });

  it("dispatches nothing twice although the queue refuses one in the middle of a page", async () => {
    const kept = createKeptStore();
    const names = await leaveBehind(kept, 3);
    const dispatched: string[] = [];
    let refusals = 1;
    const { dispatcher } = createNotingDispatcher({
      async dispatch(operations) {
        const given = operations.map(({ name }) => name);
        if (given.includes(names[1] ?? "") && refusals > 0) {
          refusals -= 1;
          throw new ConnectError("full", Code.ResourceExhausted);
        }
        dispatched.push(...given);
      },
    });
    createPrintServer(never, { ...kept, dispatcher });
    await kept.clock.advance(60_000);
    expect(dispatched).toEqual(names);
  });

  it("recovers more than the queue has room for, each of them run once", async () => {
    const kept = createKeptStore();
    const { clock } = kept;
    const names = await leaveBehind(kept, 5);
    const ran: string[] = [];
    createPrintServer(
      async ({ name }) => {
        ran.push(name);
        await new Promise<void>((resolve) => clock.schedule(2500, resolve));
        return {};
      },
      { ...kept, dispatcher: createInProcessDispatcher({ clock, maxConcurrent: 2, maxQueued: 1 }) },
    );
    await clock.advance(60_000);
    expect(ran).toEqual(names);
  });

  it("server 81: gives up recovering at its shutdown, and refuses the start that waited for it", async () => {
    const kept = createKeptStore();
    const { clock, store } = kept;
    let inserts = 0;
    const { operations } = createPrintServer(never, {
      clock,
      store: {
        ...store,
        unfinished: () => Promise.reject(new ConnectError("away", Code.Unavailable)),
        async insert(...args) {
          inserts += 1;
          return store.insert(...args);
        },
      },
    });
    const refused = rejectionOf(operations.start(Print, {}));
    await clock.advance(0);
    await operations.shutdown();
    const error = await refused;
    expect(error.code).toBe(Code.Unavailable);
    expect(standardDetailsOf(error).retryInfo).toBeDefined();
    expect([inserts, clock.scheduled()]).toEqual([0, 0]);
  });
});
