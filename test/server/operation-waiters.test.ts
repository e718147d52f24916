import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  createInProcessSignals,
  createMemoryStore,
  type OperationStore,
  type Signals,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);

/** A server whose reads of the store and subscriptions are counted, and may be made to fail. */
function createCountedServer(pollIntervalMs?: number, isDurable = false) {
  const clock = createManualClock();
  const store = createMemoryStore({ clock });
  const signals = createInProcessSignals();
  const counts = { reads: 0, subscriptions: 0, open: 0 };
  const faults: { read?: Error; subscribe?: Error } = {};
  const countedStore: OperationStore = {
    ...store,
    isDurable,
    async get(name, options) {
      counts.reads += 1;
      if (faults.read !== undefined) throw faults.read;
      return store.get(name, options);
    },
  };
  const countedSignals: Signals = {
    ...signals,
    pollIntervalMs,
    async subscribe(name, listener) {
      if (faults.subscribe !== undefined) throw faults.subscribe;
      counts.subscriptions += 1;
      counts.open += 1;
      const unsubscribe = await signals.subscribe(name, listener);
      return () => {
        counts.open -= 1;
        unsubscribe();
      };
    },
  };
  const server = createPrintServer(never, { clock, store: countedStore, signals: countedSignals });
  return { ...server, signals, store, counts, faults };
}

const unavailable = new ConnectError("away", Code.Unavailable);

describe("the calls that wait for one operation", () => {
  it("server 77: share one read of the store when they come, and one when they are woken", async () => {
    const { operations, client, clock, counts } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const waits = Array.from({ length: 100 }, () => client.wait(name, 50_000));
    await clock.advance(0);
    expect(counts.reads).toBeLessThanOrEqual(2);
    counts.reads = 0;
    await operations.succeed(Print, name, {});
    expect((await Promise.all(waits)).every(({ done }) => done)).toBe(true);
    // One more is made by `succeed` itself.
    expect(counts.reads).toBeLessThanOrEqual(2);
    expect(counts.open).toBe(0);
  });

  it("server 69: share one read when the time of all of them is up", async () => {
    const { operations, client, clock, counts } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const waits = Array.from({ length: 100 }, () => client.wait(name, 5000));
    await clock.advance(4999);
    counts.reads = 0;
    await clock.advance(1);
    expect((await Promise.all(waits)).every(({ done }) => !done)).toBe(true);
    expect(counts.reads).toBe(1);
    expect([counts.open, clock.scheduled()]).toEqual([0, 0]);
  });

  it("server 69: each end at a time of their own, and the others wait on", async () => {
    const { operations, client, clock, counts } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const ended: number[] = [];
    for (const timeoutMs of [3000, 1000, 2000]) {
      void client.wait(name, timeoutMs).then(() => ended.push(timeoutMs));
    }
    await clock.advance(1000);
    expect(ended).toEqual([1000]);
    await clock.advance(1000);
    expect(ended).toEqual([1000, 2000]);
    expect(counts.open).toBe(1);
    await clock.advance(1000);
    expect(ended).toEqual([1000, 2000, 3000]);
    expect([counts.subscriptions, counts.open]).toEqual([1, 0]);
  });

  it("server 74: look together, as often as signals may be lost", async () => {
    const { operations, client, clock, counts } = createCountedServer(1000);
    const { name } = await operations.create(Print, {});
    const waits = Array.from({ length: 10 }, () => client.wait(name, 5500));
    await clock.advance(0);
    counts.reads = 0;
    await clock.advance(3000);
    expect(counts.reads).toBe(3);
    await clock.advance(2500);
    expect((await Promise.all(waits)).some(({ done }) => done)).toBe(false);
    expect(clock.scheduled()).toBe(0);
  });

  it("server 75: a client that goes away frees its place at once, and no other", async () => {
    const { operations, client, clock, counts } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const controllers = Array.from({ length: 3 }, () => new AbortController());
    const waits = controllers.map(({ signal }) => client.wait(name, 50_000, { signal }));
    await clock.advance(0);
    const [first, middle, last] = controllers;
    middle?.abort();
    const error = await rejectionOf(waits[1] ?? never());
    expect(error.code).toBe(Code.Canceled);
    await clock.advance(0);
    expect(counts.open).toBe(1);
    first?.abort();
    last?.abort();
    await Promise.allSettled(waits);
    await clock.advance(0);
    expect([counts.open, clock.scheduled()]).toEqual([0, 0]);
    const again = client.wait(name, 50_000);
    await clock.advance(0);
    await operations.succeed(Print, name, {});
    expect((await again).done).toBe(true);
  });

  it("server 73: a call that joins during the read for the others gets a read of its own", async () => {
    const { operations, client, clock, counts } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const first = client.wait(name, 50_000);
    const second = client.wait(name, 0);
    expect((await second).done).toBe(false);
    await operations.succeed(Print, name, {});
    expect((await client.wait(name, 0)).done).toBe(true);
    expect((await first).done).toBe(true);
    await clock.advance(0);
    expect(counts.open).toBe(0);
  });

  it("all end with the store's error when it fails a read for all", async () => {
    const { operations, client, clock, counts, faults, signals } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const waits = [client.wait(name, 50_000), client.wait(name, 50_000)];
    await clock.advance(0);
    faults.read = unavailable;
    await signals.publish(name, "missed");
    for (const wait of waits) expect((await rejectionOf(wait)).code).toBe(Code.Unavailable);
    expect([counts.open, clock.scheduled()]).toEqual([0, 0]);
  });

  it("wait on when the store fails the read of another one's timeout", async () => {
    const { operations, client, clock, faults } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const lasting = client.wait(name, 50_000);
    const short = rejectionOf(client.wait(name, 1000));
    await clock.advance(0);
    faults.read = unavailable;
    await clock.advance(1000);
    expect((await short).code).toBe(Code.Unavailable);
    delete faults.read;
    await operations.succeed(Print, name, {});
    expect((await lasting).done).toBe(true);
  });

  it("end with the error of a subscription that fails, and the next one subscribes anew", async () => {
    const { operations, client, clock, counts, faults } = createCountedServer();
    const { name } = await operations.create(Print, {});
    faults.subscribe = unavailable;
    const waits = [client.wait(name, 50_000), client.wait(name, 50_000)];
    for (const wait of waits) expect((await rejectionOf(wait)).code).toBe(Code.Unavailable);
    delete faults.subscribe;
    const next = client.wait(name, 50_000);
    await clock.advance(0);
    expect(counts.subscriptions).toBe(1);
    await operations.succeed(Print, name, {});
    expect((await next).done).toBe(true);
  });

  it("server 81: are answered with one read when a server with a durable store shuts down", async () => {
    const { operations, client, clock, counts } = createCountedServer(undefined, true);
    const { name } = await operations.create(Print, {});
    const waits = Array.from({ length: 20 }, () => client.wait(name, 50_000));
    await clock.advance(0);
    counts.reads = 0;
    const shutdown = operations.shutdown({ graceMs: 0 });
    await clock.advance(0);
    await shutdown;
    expect((await Promise.all(waits)).some(({ done }) => done)).toBe(false);
    expect(counts.reads).toBe(1);
    expect(clock.scheduled()).toBe(0);
  });
});

describe("one WaitOperation call", () => {
  it("server 70: is answered with a state before the deadline of the call", async () => {
    const { operations, rpc, clock } = createCountedServer();
    const { name } = await operations.create(Print, {});
    const waiting = rpc.waitOperation({ name, timeout: { seconds: 30n } }, { timeoutMs: 10_000 });
    await clock.advance(0);
    await clock.advance(9750);
    expect(await waiting).toMatchObject({ name, done: false });
  });

  it("server 72: is woken by an end that another server wrote", async () => {
    const { operations, counts, clock, store, signals } = createCountedServer();
    const other = createPrintServer(never, { clock, store, signals });
    const { name } = await operations.create(Print, {});
    const waiting = other.client.wait(name, 50_000);
    await clock.advance(0);
    await operations.succeed(Print, name, {});
    expect((await waiting).done).toBe(true);
    expect([counts.open, clock.scheduled()]).toEqual([0, 0]);
  });

  it("server 76: is NOT_FOUND at once for an unknown name, and leaves nothing behind", async () => {
    const { rpc, clock, counts } = createCountedServer();
    const error = await rejectionOf(rpc.waitOperation({ name: "operations/unknown" }));
    expect(error.code).toBe(Code.NotFound);
    expect([counts.open, clock.scheduled()]).toEqual([0, 0]);
  });
});
