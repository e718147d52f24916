import assert from "node:assert/strict";
import { Code, type ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { OperationsServer, RunningOperation } from "../../src/server/index.js";
import { errorFromStatus, standardDetailsOf } from "../../src/status/index.js";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import {
  createPrintServer,
  Print,
  type PrintServerOptions,
  type PrintWork,
} from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);
const reasonOf = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;

/** Work that stops when its signal aborts. */
const untilAborted = ({ signal }: Pick<RunningOperation, "signal">) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });

/** A server whose store says that it is durable, as those of a file or a database are. */
function createDurableServer(work: PrintWork, options: PrintServerOptions = {}) {
  const clock = createManualClock();
  const memory = createMemoryStore({ clock });
  const store: OperationStore = { ...memory, isDurable: true, close: async () => undefined };
  return { ...createPrintServer(work, { clock, store, ...options }), memory };
}

/** Collects the states that a server goes through. */
function statesOf(operations: OperationsServer) {
  const states = [operations.state];
  return () => {
    if (states.at(-1) !== operations.state) states.push(operations.state);
    return states;
  };
}

describe("shutdown of an idle server", () => {
  it("closes it without the passing of time", async () => {
    const { operations, clock } = createPrintServer(never);
    expect(operations.state).toBe("serving");
    await operations.shutdown();
    expect(operations.state).toBe("closed");
    expect(clock.scheduled({ background: true })).toBe(0);
  });

  it("aborts `draining` with UNAVAILABLE at once", async () => {
    const { operations } = createPrintServer(never);
    expect(operations.draining.aborted).toBe(false);
    const stopped = operations.shutdown();
    expect(operations.draining.aborted).toBe(true);
    expect(operations.draining.reason).toMatchObject({ code: Code.Unavailable });
    await stopped;
  });

  it.each([
    { graceMs: -1 },
    { graceMs: Number.NaN },
    { graceMs: 2 ** 31 },
    { graceMs: 10, drainDelayMs: 11 },
    { drainDelayMs: -1 },
  ])("refuses %j", (options) => {
    const { operations } = createPrintServer(never);
    expect(() => operations.shutdown(options)).toThrow(RangeError);
    expect(operations.state).toBe("serving");
  });
});

describe("a server that is not ready", () => {
  it("accepts starts for drainDelayMs, and refuses them afterwards", async () => {
    const { operations, printer, clock } = createPrintServer(untilAborted);
    const stopped = operations.shutdown({ graceMs: 1000, drainDelayMs: 400 });
    await clock.advance(399);
    expect(operations.state).toBe("not-ready");
    expect(operations.draining.aborted).toBe(true);
    await printer.print({});
    await clock.advance(1);
    expect(operations.state).toBe("draining");
    expect((await rejectionOf(printer.print({}, { maxTries: 1 }))).code).toBe(Code.Unavailable);
    await clock.advance(599);
    expect(operations.state).toBe("draining");
    await clock.advance(1);
    await stopped;
    expect(operations.state).toBe("closed");
  });
});

describe("a server that drains", () => {
  it("server 81: refuses starts with UNAVAILABLE and RetryInfo", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { operations, printer, clock } = createPrintServer(() => gate.promise);
    await printer.print({});
    await clock.advance(0);
    const stopped = operations.shutdown();
    const error = await rejectionOf(printer.print({}, { maxTries: 1 }));
    expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, "DRAINING"]);
    expect(standardDetailsOf(error).retryInfo?.retryDelay?.seconds).toBe(1n);
    gate.resolve({ pages: 1 });
    await stopped;
    expect(reasonOf(await rejectionOf(printer.print({}, { maxTries: 1 })))).toBe("DRAINING");
  });

  it.each([
    ["in memory", createPrintServer],
    ["that is durable", createDurableServer],
  ])("holds waits until the work ends, with a store %s", async (_, createServer) => {
    const gate = createDeferred<{ pages: number }>();
    const { operations, printer, client, clock } = createServer(() => gate.promise);
    const { name } = await printer.print({});
    await clock.advance(0);
    const before = client.wait(name, 50_000);
    const stopped = operations.shutdown({ graceMs: 10_000 });
    const during = client.wait(name, 50_000);
    await clock.advance(9000);
    expect((await client.get(name)).done).toBe(false);
    gate.resolve({ pages: 3 });
    expect((await before).result.case).toBe("response");
    expect((await during).result.case).toBe("response");
    await stopped;
    expect(clock.scheduled()).toBe(0);
  });

  it("answers calls with UNAVAILABLE when it is closed", async () => {
    const { operations, client } = createPrintServer(never);
    await operations.shutdown();
    const error = await rejectionOf(client.get("operations/a"));
    expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, "STORE_CLOSED"]);
  });

  it("answers get, list, cancel and delete", async () => {
    const { operations, printer, rpc, clock } = createPrintServer(untilAborted);
    const { name } = await printer.print({});
    await clock.advance(0);
    const stopped = operations.shutdown();
    expect((await rpc.getOperation({ name })).done).toBe(false);
    expect((await rpc.listOperations({})).operations).toHaveLength(1);
    const waiting = rpc.waitOperation({ name });
    await clock.advance(0);
    await rpc.cancelOperation({ name });
    expect((await waiting).result.case).toBe("error");
    await stopped;
  });

  it("runs what is queued, if the store is in memory", async () => {
    const { operations, printer, client, clock } = createPrintServer(
      async () => {
        await Promise.resolve();
        return { pages: 1 };
      },
      { method: { maxConcurrent: 1 } },
    );
    const names: string[] = [];
    for (let at = 0; at < 5; at += 1) names.push((await printer.print({})).name);
    const waits = names.map((name) => client.wait(name, 50_000));
    const stopped = operations.shutdown();
    for (const wait of waits) expect((await wait).result.case).toBe("response");
    await stopped;
    expect(clock.scheduled()).toBe(0);
  });

  it("leaves what is queued to the next process, if the store is durable", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { operations, printer, client, clock, memory } = createDurableServer(() => gate.promise, {
      method: { maxConcurrent: 1 },
    });
    await printer.print({});
    const { name } = await printer.print({});
    await clock.advance(0);
    const waiting = client.wait(name, 50_000);
    const stopped = operations.shutdown();
    await clock.advance(0);
    gate.resolve({ pages: 1 });
    expect(await waiting).toMatchObject({ done: false, result: { case: undefined } });
    await stopped;
    expect(await memory.get(name)).toMatchObject({ state: "queued", attempt: 0 });
  });

  it("waits for starts under way, and for no start that hangs beyond the grace", async () => {
    const { operations, printer, client, clock } = createDurableServer(never, {
      method: { tryNow: never },
    });
    const { name } = await operations.create(Print, {});
    const waiting = client.wait(name, 50_000);
    void printer.print({}, { maxTries: 1 });
    await clock.advance(0);
    const states = statesOf(operations);
    const stopped = operations.shutdown({ graceMs: 1000 });
    await clock.advance(999);
    expect(states()).toEqual(["serving", "draining"]);
    await clock.advance(1);
    expect((await waiting).done).toBe(false);
    await stopped;
  });

  it("holds waits for an external operation to the end of the grace, if the store is in memory", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    const waiting = client.wait(name, 50_000);
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 1000 });
    await clock.advance(500);
    await operations.succeed(Print, name, { pages: 2 });
    expect((await waiting).result.case).toBe("response");
    await stopped;
  });

  it("answers waits for an external operation with the latest state after the grace", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    const waiting = client.wait(name, 50_000);
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 1000 });
    await clock.advance(1000);
    expect((await waiting).done).toBe(false);
    await stopped;
  });
});

describe("a server that hands over", () => {
  it("aborts the work at the end of the grace, and gives it 0.4 s to stop", async () => {
    const reasons: unknown[] = [];
    const { printer, operations, clock, events } = createPrintServer(({ signal }) => {
      signal.addEventListener("abort", () => reasons.push(signal.reason));
      return never();
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 1000 });
    await clock.advance(999);
    expect(reasons).toEqual([]);
    await clock.advance(1);
    expect(reasons).toMatchObject([{ code: Code.Unavailable }]);
    expect(operations.state).toBe("handing-over");
    await clock.advance(400);
    await stopped;
    expect(operations.state).toBe("closed");
    expect(events).toEqual([{ kind: "work-abandoned", names: [name] }]);
  });

  it("queues the operations again whose work stops, and answers waits with that state", async () => {
    const { printer, operations, client, clock, memory } = createDurableServer(untilAborted);
    const { name } = await printer.print({});
    await clock.advance(0);
    const waiting = client.wait(name, 50_000);
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(10);
    await stopped;
    expect((await waiting).done).toBe(false);
    expect(await memory.get(name)).toMatchObject({ state: "queued", attempt: 1, handovers: 1 });
  });

  it.each<[string, PrintWork, PrintServerOptions]>([
    ["whose work stops", untilAborted, {}],
    ["whose work does not stop", never, {}],
    ["that is queued", never, { method: { maxConcurrent: 1 } }],
    ["that is blocked", never, { method: { resource: () => "printer" } }],
  ])("ends an operation with a wait, if the store is in memory: %s", async (_, work, options) => {
    const { printer, operations, client, clock } = createPrintServer(work, options);
    await printer.print({});
    const { name } = await printer.print({});
    await clock.advance(0);
    const waiting = client.wait(name, 50_000);
    const stopped = operations.shutdown({ graceMs: 10 });
    await clock.advance(1010);
    await stopped;
    const { result } = await waiting;
    assert(result.case === "error");
    const error = errorFromStatus(result.value);
    expect([error.code, reasonOf(error)]).toEqual([Code.Aborted, "SERVER_CLOSED"]);
  });

  it("answers waits with UNAVAILABLE, and closes within a second, if the store hangs", async () => {
    const clock = createManualClock();
    const memory = createMemoryStore({ clock });
    let hangs = false;
    const hanging = <T>(call: () => Promise<T>) => (hangs ? never() : call());
    const store: OperationStore = {
      ...memory,
      isDurable: true,
      get: (...args) => hanging(() => memory.get(...args)),
      release: (...args) => hanging(() => memory.release(...args)),
      close: () => hanging(() => memory.close()),
    };
    const { printer, operations, client } = createPrintServer(untilAborted, { clock, store });
    const { name } = await printer.print({});
    await clock.advance(0);
    const waiting = rejectionOf(client.wait(name, 50_000));
    await clock.advance(0);
    hangs = true;
    const stopped = operations.shutdown({ graceMs: 2000 });
    await clock.advance(2999);
    expect(operations.state).toBe("closed");
    await clock.advance(1);
    await stopped;
    const error = await waiting;
    expect([error.code, reasonOf(error)]).toEqual([Code.Unavailable, "DRAINING"]);
    expect(clock.scheduled()).toBe(0);
  });
});

describe("a second shutdown", () => {
  it("joins the first one", async () => {
    const { operations } = createPrintServer(never);
    const first = operations.shutdown({ graceMs: 1000 });
    expect(operations.shutdown()).toBe(first);
    await first;
    await operations.shutdown();
  });

  it("shortens the grace, and never extends it", async () => {
    const { printer, operations, clock } = createPrintServer(untilAborted);
    await printer.print({});
    await clock.advance(0);
    const stopped = operations.shutdown({ graceMs: 10_000 });
    void operations.shutdown({ graceMs: 60_000 });
    await clock.advance(1000);
    expect(operations.state).toBe("draining");
    void operations.shutdown({ graceMs: 0 });
    await clock.advance(0);
    await stopped;
    expect(operations.state).toBe("closed");
  });
});
