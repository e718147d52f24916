import { Code, type ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { MethodOptions } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createMemoryStore,
  type Dispatcher,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import type { PrintRequestSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { errorOf, reasonOf } from "../support/operation-end.js";
import {
  createPrintServer,
  Print,
  type PrintServerOptions,
  type PrintWork,
} from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

type Method = MethodOptions<typeof PrintRequestSchema, typeof PrintResponseSchema>;

/** A server that works on one resource per parent; each operation ends when the test says so. */
function createResourceServer(
  parallel: Method["parallel"],
  options: PrintServerOptions = {},
  method: Method = {},
) {
  const gates = new Map<string, Deferred<{ pages: number }>>();
  const ran: string[] = [];
  const work: PrintWork = ({ name, signal }) => {
    ran.push(name);
    const gate = createDeferred<{ pages: number }>();
    gates.set(name, gate);
    signal.addEventListener("abort", () => gate.reject(signal.reason), { once: true });
    return gate.promise;
  };
  const server = createPrintServer(work, {
    ...options,
    method: { resource: ({ parent }) => parent, parallel, ...method },
  });
  const start = async (parent = "printers/1") => (await server.printer.print({ parent })).name;
  const finish = async (name: string) => {
    gates.get(name)?.resolve({ pages: 1 });
    await server.clock.advance(0);
  };
  const get = (name: string) => server.client.get(name);
  return { ...server, ran, start, finish, get };
}

describe("parallel work on one resource", () => {
  it("server 14: waits for its turn, in the order of its start, and others do not", async () => {
    const { ran, start, finish, clock, get } = createResourceServer("queue");
    const [one, two, three] = [await start(), await start(), await start()];
    const other = await start("printers/2");
    await clock.advance(1000);
    expect(ran).toEqual([one, other]);
    expect(await get(two)).toMatchObject({ done: false });
    await finish(one);
    expect(ran).toEqual([one, other, two]);
    await finish(two);
    expect(ran).toEqual([one, other, two, three]);
  });

  it("names no operation of another caller in the refusal", async () => {
    const { printer, clock } = createResourceServer("refuse", {
      authorize: ({ context }) => ({
        allow: true,
        principal: context.requestHeader.get("x-user") ?? "",
        sees: "own",
      }),
    });
    const start = (user: string) =>
      printer.print({ parent: "printers/1" }, { headers: { "x-user": user } });
    const { name } = await start("ann");
    await clock.advance(0);
    const details = standardDetailsOf(await rejectionOf(start("bob")));
    expect(details.errorInfo?.metadata).toEqual({ resource: "printers/1" });
    expect(JSON.stringify(details)).not.toContain(name);
    const own = standardDetailsOf(await rejectionOf(start("ann")));
    expect(own.errorInfo?.metadata).toEqual({ resource: "printers/1", name });
  });

  it("server 14: is refused with ABORTED, ErrorInfo and ResourceInfo, until the resource is free", async () => {
    const { ran, start, finish, clock, rpc } = createResourceServer("refuse");
    const name = await start();
    await clock.advance(0);
    const error = await rejectionOf(start());
    expect(error.code).toBe(Code.Aborted);
    const details = standardDetailsOf(error);
    expect(details.errorInfo).toMatchObject({
      reason: "RESOURCE_BUSY",
      metadata: { resource: "printers/1", name },
    });
    expect(details.resourceInfo?.resourceName).toBe(name);
    expect((await rpc.listOperations({ name: "printers/1" })).operations).toHaveLength(1);
    await finish(name);
    const next = await start();
    await clock.advance(0);
    expect(ran).toEqual([name, next]);
  });

  it("server 15: pre-empts the older operation, which ends ABORTED while its work is stopped", async () => {
    const { ran, start, finish, clock, get, client, events } = createResourceServer("preempt");
    const older = await start();
    await clock.advance(0);
    const waiting = client.wait(older, 50_000);
    const newer = await start();
    const ended = await waiting;
    expect(errorOf(ended).code).toBe(Code.Aborted);
    expect(standardDetailsOf(errorOf(ended)).errorInfo).toMatchObject({
      reason: "PREEMPTED",
      metadata: { resource: "printers/1" },
    });
    await clock.advance(0);
    // Its work was aborted, and the error that it threw is not written.
    expect(events).toEqual([{ kind: "attempt-lost", name: older, attempt: 1 }]);
    expect(await get(older)).toEqual(ended);
    expect(ran).toEqual([older, newer]);
    await finish(newer);
    expect((await get(newer)).result.case).toBe("response");
  });

  it("shows the work that is pre-empted why", async () => {
    const reason = createDeferred<unknown>();
    const { printer, clock } = createPrintServer(
      ({ signal, request }) => {
        if (request.pages > 1) return { pages: 2 };
        signal.addEventListener("abort", () => reason.resolve(signal.reason));
        return new Promise(() => undefined);
      },
      { method: { resource: () => "the printer", parallel: "preempt" } },
    );
    await printer.print({ pages: 1 });
    await clock.advance(0);
    await printer.print({ pages: 2 });
    expect(await reason.promise).toMatchObject({ code: Code.Aborted });
  });

  it("is independent where the resource is empty", async () => {
    const { ran, start, clock } = createResourceServer("refuse", {}, { resource: () => "" });
    await start();
    await start();
    await clock.advance(0);
    expect(ran).toHaveLength(2);
  });
});

describe("the next operation of a resource starts", () => {
  it("when the one before it is cancelled while it waits, or while it runs", async () => {
    const { ran, start, clock, client, get } = createResourceServer("queue");
    const [one, two, three] = [await start(), await start(), await start()];
    await clock.advance(0);
    await client.cancel(two);
    expect(reasonOf(await get(two))).toBe("CANCELLED_BY_REQUEST");
    await client.cancel(one);
    await clock.advance(0);
    expect(ran).toEqual([one, three]);
  });

  it("when the one before it was driven from outside and has ended", async () => {
    const { ran, start, clock, operations } = createResourceServer("queue");
    const external = await operations.create(Print, {}, { resource: "printers/1" });
    const next = await start();
    await clock.advance(0);
    expect(ran).toEqual([]);
    await operations.succeed(Print, external.name, {});
    await clock.advance(0);
    expect(ran).toEqual([next]);
  });

  it("when the one before it was driven from outside and is deleted", async () => {
    const { ran, start, clock, operations, client } = createResourceServer("queue");
    const external = await operations.create(Print, {}, { resource: "printers/1" });
    const next = await start();
    await client.delete(external.name);
    await clock.advance(0);
    expect(ran).toEqual([next]);
  });

  it("when the one before it misses its deadline", async () => {
    const { ran, start, clock } = createResourceServer("queue", {}, { deadlineMs: 5000 });
    const one = await start();
    await clock.advance(1000);
    const two = await start();
    await clock.advance(3999);
    expect(ran).toEqual([one]);
    await clock.advance(1);
    expect(ran).toEqual([one, two]);
  });

  it("when the one before it was deleted and then ends, and no sooner", async () => {
    const { ran, start, finish, clock, client } = createResourceServer("queue");
    const [one, two] = [await start(), await start()];
    await clock.advance(0);
    await client.delete(one);
    await clock.advance(0);
    expect(ran).toEqual([one]);
    await finish(one);
    expect(ran).toEqual([one, two]);
  });

  it("a second later where the queue had no room, and the end of the one before stands", async () => {
    const clock = createManualClock();
    const queue = createInProcessDispatcher({ clock });
    let refused = 0;
    const dispatcher: Dispatcher = {
      ...queue,
      async dispatch(operations, options) {
        if (refused > 0) {
          refused -= 1;
          throw new Error("no room");
        }
        await queue.dispatch(operations, options);
      },
    };
    const { ran, start, finish, get, events } = createResourceServer("queue", {
      clock,
      dispatcher,
    });
    const [one, two] = [await start(), await start()];
    await clock.advance(0);
    refused = 2;
    await finish(one);
    expect((await get(one)).result.case).toBe("response");
    await clock.advance(1999);
    expect(ran).toEqual([one]);
    await clock.advance(1);
    expect(ran).toEqual([one, two]);
    expect(events).toMatchObject(Array(2).fill({ action: `dispatch ${two}` }));
  });

  it("after a restart, when the one before it has run to its end", async () => {
    const clock = createManualClock();
    const store: OperationStore = {
      ...createMemoryStore({ clock }),
      close: async () => undefined,
    };
    const first = createResourceServer("queue", { clock, store });
    const [one, two] = [await first.start(), await first.start()];
    const stopped = first.operations.shutdown({ graceMs: 10 });
    await clock.advance(20);
    await stopped;
    const second = createResourceServer("queue", { clock, store });
    await clock.advance(0);
    expect(second.ran).toEqual([one]);
    await second.finish(one);
    expect(second.ran).toEqual([one, two]);
  });
});

describe("turns", () => {
  it.each([
    ["parent", { parent: "printers/1" }, { parent: "printers/2" }],
    ["principal", { principal: "ann" }, { principal: "bob" }],
  ])("1,000 starts of one %s do not keep one of another waiting", async (_, many, one) => {
    const ran: string[] = [];
    const gate = createDeferred();
    const { operations, clock } = createPrintServer(
      async ({ name }) => {
        ran.push(name);
        if (ran.length === 1) await gate.promise;
        return {};
      },
      { dispatcher: createInProcessDispatcher({ maxConcurrent: 1 }) },
    );
    for (let count = 0; count < 1000; count += 1) await operations.start(Print, {}, many);
    const { name } = await operations.start(Print, {}, one);
    gate.resolve();
    await clock.advance(0);
    expect(ran).toHaveLength(1001);
    expect(ran.indexOf(name)).toBeLessThan(3);
  });

  it("no more of a method run side by side than it says", async () => {
    const gate = createDeferred<{ pages: number }>();
    let running = 0;
    const { printer, clock } = createPrintServer(
      () => {
        running += 1;
        return gate.promise;
      },
      { method: { maxConcurrent: 2 } },
    );
    for (let count = 0; count < 3; count += 1) await printer.print({});
    await clock.advance(0);
    expect(running).toBe(2);
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect(running).toBe(3);
  });
});

describe("a start that finds the queue full", () => {
  const reasonOfRefusal = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;

  /** A server that runs one at a time and has one wait. */
  const createFullServer = (parallel: Method["parallel"]) => {
    const clock = createManualClock();
    const dispatcher = createInProcessDispatcher({ clock, maxConcurrent: 1, maxQueued: 1 });
    return createResourceServer(parallel, { clock, dispatcher });
  };

  it("leaves nothing behind, and may be sent again with its request id", async () => {
    const { printer, get, rpc, clock, finish } = createFullServer("queue");
    const requestIds = new Map<string, string>();
    const start = (parent: string) => {
      const requestId = requestIds.get(parent) ?? crypto.randomUUID();
      requestIds.set(parent, requestId);
      return printer.print({ parent, requestId }, { maxTries: 1 });
    };
    const running = await start("printers/1");
    await clock.advance(0);
    const queued = await start("printers/2");
    expect(reasonOfRefusal(await rejectionOf(start("printers/3")))).toBe("QUEUE_FULL");
    expect((await rpc.listOperations({ name: "printers/-" })).operations).toHaveLength(2);
    // A start that was accepted is so when it comes again.
    expect((await start("printers/2")).name).toBe(queued.name);
    await finish(running.name);
    const late = await start("printers/3");
    await finish(queued.name);
    await finish(late.name);
    expect((await get(late.name)).result.case).toBe("response");
  });

  it("pre-empts nothing", async () => {
    const { printer, get, clock } = createFullServer("preempt");
    const running = await printer.print({ parent: "printers/1" });
    await clock.advance(0);
    await printer.print({ parent: "printers/2" });
    const refused = printer.print({ parent: "printers/1" }, { maxTries: 1 });
    expect(reasonOfRefusal(await rejectionOf(refused))).toBe("QUEUE_FULL");
    await clock.advance(0);
    expect((await get(running.name)).done).toBe(false);
  });
});
