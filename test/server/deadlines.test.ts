import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { errorOf, reasonOf } from "../support/operation-end.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { never, untilAborted } from "../support/print-work.js";
import { rejectionOf } from "../support/rejection.js";

describe("an operation's deadline", () => {
  it("ends it with DEADLINE_EXCEEDED to the millisecond, wakes who waits, and stops its work", async () => {
    const reason = createDeferred<unknown>();
    const { printer, client, clock, events } = createPrintServer(
      (operation) => {
        operation.signal.addEventListener("abort", () => reason.resolve(operation.signal.reason));
        return untilAborted(operation);
      },
      { method: { deadlineMs: 5000 } },
    );
    const { name } = await printer.print({});
    const waiting = client.wait(name, 50_000);
    await clock.advance(4999);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    const ended = await waiting;
    expect(errorOf(ended).code).toBe(Code.DeadlineExceeded);
    expect(reasonOf(ended)).toBe("OPERATION_DEADLINE_EXCEEDED");
    expect(await reason.promise).toMatchObject({ code: Code.DeadlineExceeded });
    await clock.advance(0);
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
    expect(clock.scheduled()).toBe(0);
  });

  it("stops work that has tried in vain to end the operation in a transaction", async () => {
    const { operations, client, clock, events } = createPrintServer(
      async (operation) => {
        const transaction = { executeSql: async () => ({ rows: [] }) };
        await operation.complete({ pages: 1 }, transaction).catch(() => undefined);
        return untilAborted(operation);
      },
      { deadlineMs: 100 },
    );
    const { name } = await operations.start(Print, {});
    await clock.advance(100);
    expect(reasonOf(await client.get(name))).toBe("OPERATION_DEADLINE_EXCEEDED");
    // The work has come to its end, too.
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
  });

  it("voids what its work writes later", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock } = createPrintServer(
      async (operation) => {
        const response = await gate.promise;
        operation.report({ pagesPrinted: 9 });
        return response;
      },
      { deadlineMs: 100 },
    );
    const { name } = await printer.print({});
    await clock.advance(100);
    const ended = await client.get(name);
    gate.resolve({ pages: 3 });
    await clock.advance(1000);
    expect(await client.get(name)).toEqual(ended);
    expect(errorOf(ended).code).toBe(Code.DeadlineExceeded);
  });

  it("holds for those that wait for their turn and those that are driven from outside", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const blocking = await operations.start(Print, {}, { resource: "r" });
    const blocked = await operations.start(Print, {}, { resource: "r", deadlineMs: 1000 });
    const external = await operations.create(Print, {}, { deadlineMs: 2000 });
    // The clock of a store goes on by a microsecond with each write.
    await clock.advance(1001);
    expect(reasonOf(await client.get(blocked.name))).toBe("OPERATION_DEADLINE_EXCEEDED");
    expect((await client.get(external.name)).done).toBe(false);
    await clock.advance(1000);
    expect(reasonOf(await client.get(external.name))).toBe("OPERATION_DEADLINE_EXCEEDED");
    expect((await client.get(blocking.name)).done).toBe(false);
    const late = operations.succeed(Print, external.name, {});
    expect((await rejectionOf(late)).code).toBe(Code.FailedPrecondition);
  });

  it("is met in order where the later one was started first, for any number at once", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const start = async (deadlineMs: number) =>
      (await operations.create(Print, {}, { deadlineMs })).name;
    const later = await start(3000);
    const sooner = await Promise.all(Array.from({ length: 250 }, () => start(1000)));
    await clock.advance(1001);
    // The store yields to the event loop after each hundred.
    for (const name of sooner) expect((await client.wait(name, 1000)).done).toBe(true);
    expect((await client.get(later)).done).toBe(false);
    await clock.advance(2000);
    expect((await client.get(later)).done).toBe(true);
  });

  it("counts on after a restart", async () => {
    const clock = createManualClock();
    const store: OperationStore = { ...createMemoryStore({ clock }), close: async () => undefined };
    const first = createPrintServer(untilAborted, { clock, store, deadlineMs: 5000 });
    const { name } = await first.printer.print({});
    const stopped = first.operations.shutdown({ graceMs: 1000 });
    await clock.advance(2000);
    await stopped;
    const { client } = createPrintServer(untilAborted, { clock, store });
    await clock.advance(2999);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect(reasonOf(await client.get(name))).toBe("OPERATION_DEADLINE_EXCEEDED");
  });

  it("that another server set is met within an hour", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const { client } = createPrintServer(never, { clock, store });
    await clock.advance(60_000);
    const other = createPrintServer(never, { clock: createManualClock(), store });
    const { name } = await other.operations.create(Print, {}, { deadlineMs: 5000 });
    await clock.advance(60 * 60_000 - 1);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect((await client.get(name)).done).toBe(true);
  });

  it("is met a second later at most while the store is away", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    let failures = 2;
    const { operations, client, events } = createPrintServer(never, {
      clock,
      store: {
        ...store,
        endOverdue(...args) {
          failures -= 1;
          if (failures >= 0) return Promise.reject(new ConnectError("away", Code.Unavailable));
          return store.endOverdue(...args);
        },
      },
    });
    const { name } = await operations.create(Print, {}, { deadlineMs: 5000 });
    await clock.advance(6999);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect((await client.get(name)).done).toBe(true);
    expect(events).toMatchObject(Array(2).fill({ action: "end overdue operations" }));
  });

  it("keeps one timer for all of them, and none after the shutdown", async () => {
    const { operations, clock } = createPrintServer(never);
    for (const deadlineMs of [5000, 1000, 3000]) await operations.create(Print, {}, { deadlineMs });
    expect(clock.scheduled({ background: true })).toBe(1);
    await operations.shutdown();
    expect(clock.scheduled({ background: true })).toBe(0);
  });
});

describe("retention", () => {
  it("server 88: takes away what is done when its time is over, and nothing that runs", async () => {
    const { operations, rpc, client, clock } = createPrintServer(never, { retentionMs: 1000 });
    const running = await operations.start(Print, {});
    const done = await operations.create(Print, {});
    await operations.succeed(Print, done.name, {});
    await clock.advance(999);
    expect((await client.get(done.name)).done).toBe(true);
    await clock.advance(30 * 24 * 60 * 60 * 1000);
    expect((await rejectionOf(client.get(done.name))).code).toBe(Code.NotFound);
    expect((await rpc.listOperations({})).operations.map(({ name }) => name)).toEqual([
      running.name,
    ]);
  });

  it("server 7: a done operation is the same byte for byte until then", async () => {
    const { printer, client, clock } = createPrintServer(
      (operation) => {
        operation.report({ pagesPrinted: 3 });
        return { pages: 3 };
      },
      { retentionMs: 60 * 60 * 1000 },
    );
    const handle = await printer.print({});
    await handle.result();
    const first = await client.get(handle.name);
    for (let count = 0; count < 10; count += 1) {
      await client.cancel(handle.name);
      await clock.advance(5 * 60 * 1000);
      expect(await client.get(handle.name)).toEqual(first);
    }
  });
});
