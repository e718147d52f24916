import { toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { OperationSchema } from "../../src/protos.js";
import type { OperationsServer } from "../../src/server/index.js";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print, type PrintWork } from "../support/print-server.js";

const never = () => new Promise<never>(() => undefined);

/** Two servers over one store, one queue and one set of signals, as two replicas are. */
function createReplicas(work: PrintWork, change: (store: OperationStore) => OperationStore = same) {
  const clock = createManualClock();
  const shared = {
    clock,
    store: change(createMemoryStore({ clock })),
    dispatcher: createInProcessDispatcher({ clock }),
    signals: createInProcessSignals(),
  };
  return { clock, one: createPrintServer(work, shared), other: createPrintServer(work, shared) };
}

const same = (store: OperationStore) => store;

describe("one replica of two", () => {
  it("server 9: reads what the other has just started", async () => {
    const { one, other } = createReplicas(never);
    const { name } = await one.operations.create(Print, {});
    expect(await other.rpc.getOperation({ name })).toMatchObject({ name, done: false });
  });

  it("server 23: gets the same operation for a request id that comes to both at once", async () => {
    const { one, other } = createReplicas(never);
    const requestId = crypto.randomUUID();
    const started = await Promise.all(
      [one, other, one, other].map(({ operations }) => operations.create(Print, { requestId })),
    );
    expect(new Set(started.map(({ name }) => name)).size).toBe(1);
    expect((await one.rpc.listOperations({})).operations).toHaveLength(1);
  });

  it("server 72: wakes who waits there when the other has ended the operation", async () => {
    const { one, other, clock } = createReplicas(never);
    const { name } = await one.operations.create(Print, {});
    const waiting = other.client.wait(name, 50_000);
    await clock.advance(0);
    await one.operations.succeed(Print, name, { pages: 1 });
    expect((await waiting).done).toBe(true);
    // No time has passed: nothing was found by polling.
    expect(clock.scheduled()).toBe(0);
  });

  it("server 55: stops the work that the other runs", async () => {
    const started = createDeferred();
    const stopped = createDeferred();
    const { one, other } = createReplicas(({ signal }) => {
      signal.addEventListener("abort", () => stopped.resolve());
      started.resolve();
      return never();
    });
    const { name } = await one.printer.print({});
    await started.promise;
    await other.rpc.cancelOperation({ name });
    await stopped.promise;
  });
});

describe("a done operation", () => {
  type End = (operations: OperationsServer, name: string) => Promise<unknown>;
  const ends: [string, End][] = [
    ["a response", (operations, name) => operations.succeed(Print, name, { pages: 1 })],
    ["an error", (operations, name) => operations.fail(name, new ConnectError("no paper"))],
  ];

  it.each(ends)("server 7: with %s is the same, byte for byte, whatever comes", async (_, end) => {
    const { operations, rpc, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    await operations.report(Print, name, { pagesPrinted: 1 });
    await end(operations, name);
    const read = async () => toBinary(OperationSchema, await rpc.getOperation({ name }));
    const first = await read();
    await rpc.cancelOperation({ name });
    await Promise.allSettled([
      operations.report(Print, name, { pagesPrinted: 2 }),
      operations.succeed(Print, name, { pages: 2 }),
    ]);
    await clock.advance(29 * 24 * 60 * 60 * 1000);
    expect(await read()).toEqual(first);
    const waited = await rpc.waitOperation({ name });
    expect(toBinary(OperationSchema, waited)).toEqual(first);
    const { operations: listed } = await rpc.listOperations({});
    expect(listed.map((item) => toBinary(OperationSchema, item))).toEqual([first]);
  });
});

describe("WaitOperation under a deadline of its call", () => {
  it("server 70: is answered with the latest state a quarter of a second before it", async () => {
    const { operations, rpc, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    let isAnswered = false;
    const timeout = { seconds: 50n };
    // The deadline runs on the machine's clock, the wait on the manual one.
    const waiting = rpc.waitOperation({ name, timeout }, { timeoutMs: 20_000 }).then((answer) => {
      isAnswered = true;
      return answer;
    });
    await clock.advance(15_000);
    expect(isAnswered).toBe(false);
    await clock.advance(19_750 - 15_000);
    expect(await waiting).toMatchObject({ name, done: false });
  });
});

describe("a walk of a list", () => {
  it("server 36: has a token as long as its end is not known, and an empty page may have one", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    // A store that looks at three records a page, as one with more would at more.
    const scanning: OperationStore = {
      ...store,
      async list(query, options) {
        const page = await store.list({ ...query, filter: undefined, limit: 3 }, options);
        return { ...page, records: page.records.filter(({ state }) => state === "done") };
      },
    };
    const { operations, rpc } = createPrintServer(never, { clock, store: scanning });
    const { name: oldest } = await operations.create(Print, {});
    for (let at = 0; at < 6; at += 1) await operations.create(Print, {});
    await operations.succeed(Print, oldest, {});
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await rpc.listOperations({ filter: "done = true", pageToken });
      pages.push(page.operations.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages).toEqual([[], [], [oldest]]);
  });

  it("server 42: can be taken up again days later", async () => {
    const { operations, rpc, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    await operations.create(Print, {});
    const { nextPageToken: pageToken } = await rpc.listOperations({ pageSize: 1 });
    await clock.advance(3 * 24 * 60 * 60 * 1000);
    const { operations: rest } = await rpc.listOperations({ pageToken });
    expect(rest.map((operation) => operation.name)).toEqual([name]);
  });
});
