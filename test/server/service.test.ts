import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ListOperationsRequestSchema, type Operation } from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createInProcessSignals, createMemoryStore, type Signals } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);

/** Code and reason of the error that a call rejects with. */
async function faultOf(call: Promise<unknown>) {
  const error = await rejectionOf(call);
  return { code: error.code, reason: standardDetailsOf(error).errorInfo?.reason };
}

describe("every method but List", () => {
  const methods = ["getOperation", "waitOperation", "cancelOperation", "deleteOperation"] as const;

  it.each(methods)("server 27, 54, 64, 76: %s of an unknown name is NOT_FOUND", async (method) => {
    const { rpc } = createPrintServer(never);
    const error = await rejectionOf(rpc[method]({ name: "printers/1/operations/x" }));
    expect(error.code).toBe(Code.NotFound);
    const details = standardDetailsOf(error);
    expect(details.errorInfo).toMatchObject({
      reason: "OPERATION_NOT_FOUND",
      domain: "connect-longrunning",
      metadata: { name: "printers/1/operations/x" },
    });
    expect(details.resourceInfo).toMatchObject({
      resourceType: "longrunning.googleapis.com/Operation",
      resourceName: "printers/1/operations/x",
    });
  });

  it.each(methods)("server 27: %s of a malformed name is INVALID_ARGUMENT", async (method) => {
    const { rpc } = createPrintServer(never);
    for (const name of ["", "operations/", "printers/7", `operations/${"x".repeat(2000)}`]) {
      const error = await rejectionOf(rpc[method]({ name }));
      expect(error.code).toBe(Code.InvalidArgument);
      expect(standardDetailsOf(error).badRequest?.fieldViolations[0]?.field).toBe("name");
      // An echo of the longest input of a client would not fit into a trailer.
      expect(error.rawMessage.length).toBeLessThan(1000);
    }
  });
});

describe("DeleteOperation", () => {
  it("server 63, 65: hides the operation, and its work runs on", async () => {
    const gate = createDeferred<{ pages: number }>();
    const ended = createDeferred<boolean>();
    const { printer, client } = createPrintServer(async ({ signal }) => {
      const response = await gate.promise;
      ended.resolve(signal.aborted);
      return response;
    });
    const handle = await printer.print({});
    await handle.delete();
    expect((await rejectionOf(client.get(handle.name))).code).toBe(Code.NotFound);
    gate.resolve({ pages: 1 });
    expect(await ended.promise).toBe(false);
  });

  it("server 65: wakes who waits for the operation with NOT_FOUND", async () => {
    const { printer, client, clock } = createPrintServer(never);
    const handle = await printer.print({});
    const waiting = client.wait(handle.name, 50_000);
    await clock.advance(0);
    await handle.delete();
    expect((await rejectionOf(waiting)).code).toBe(Code.NotFound);
    expect(clock.scheduled()).toBe(0);
  });
});

describe("CancelOperation", () => {
  it("server 58: cancel of a done operation is OK and changes nothing", async () => {
    const { printer, client } = createPrintServer(() => ({ pages: 1 }));
    const handle = await printer.print({});
    await handle.result();
    await handle.cancel();
    expect((await client.get(handle.name)).result.case).toBe("response");
  });
});

describe("WaitOperation", () => {
  it("server 68: answers at once when the operation is done", async () => {
    const { printer, client } = createPrintServer(() => ({ pages: 1 }));
    const handle = await printer.print({});
    await handle.result();
    expect((await client.wait(handle.name, 50_000)).done).toBe(true);
  });

  it("answers as soon as the operation is done, and leaves no timer", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock } = createPrintServer(() => gate.promise);
    const { name } = await printer.print({});
    const waiting = client.wait(name, 50_000);
    await clock.advance(20_000);
    gate.resolve({ pages: 1 });
    expect((await waiting).done).toBe(true);
    expect(clock.scheduled()).toBe(0);
  });

  it("server 69: at its timeout it answers OK with the latest state", async () => {
    const { printer, client, clock } = createPrintServer((operation) => {
      operation.report({ pagesPrinted: 1 });
      return never();
    });
    const { name } = await printer.print({});
    let answer: Operation | undefined;
    const waiting = client.wait(name, 5000).then((operation) => {
      answer = operation;
    });
    await clock.advance(4999);
    expect(answer).toBeUndefined();
    await clock.advance(1);
    await waiting;
    expect(answer).toMatchObject({ name, done: false });
    expect(answer?.metadata?.typeUrl).toContain("PrintMetadata");
  });

  it("server 71: a timeout of 0 answers at once, half a second waits for half a second", async () => {
    const { printer, rpc, clock } = createPrintServer(never);
    const { name } = await printer.print({});
    expect((await rpc.waitOperation({ name, timeout: {} })).done).toBe(false);
    let answered = false;
    const waiting = rpc.waitOperation({ name, timeout: durationFromMs(500) }).then(() => {
      answered = true;
    });
    await clock.advance(499);
    expect(answered).toBe(false);
    await clock.advance(1);
    await waiting;
  });

  it("server 71: a negative timeout is INVALID_ARGUMENT", async () => {
    const { printer, rpc } = createPrintServer(never);
    const { name } = await printer.print({});
    const error = await rejectionOf(rpc.waitOperation({ name, timeout: { seconds: -1n } }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(standardDetailsOf(error).badRequest?.fieldViolations[0]?.field).toBe("timeout");
  });

  it("answers after 25 s by default, before the time-outs of proxies", async () => {
    const { printer, rpc, clock } = createPrintServer(never);
    const { name } = await printer.print({});
    let answered = false;
    const waiting = rpc.waitOperation({ name }).then(() => {
      answered = true;
    });
    await clock.advance(24_999);
    expect(answered).toBe(false);
    await clock.advance(1);
    await waiting;
  });

  it.each([
    ["absent", undefined],
    ["huge", { seconds: 315_576_000_000n }],
  ])("server 71: with an %s timeout it answers at the server's cap", async (_, timeout) => {
    const { printer, rpc, clock } = createPrintServer(never, { maxWaitMs: 3000 });
    const { name } = await printer.print({});
    const waiting = rpc.waitOperation({ name, timeout });
    await clock.advance(3000);
    expect((await waiting).done).toBe(false);
  });

  it("server 77: all waits for one operation share one subscription, which ends with the last", async () => {
    const signals = createInProcessSignals();
    let subscriptions = 0;
    let open = 0;
    const counting: Signals = {
      ...signals,
      async subscribe(...args) {
        subscriptions += 1;
        open += 1;
        const unsubscribe = await signals.subscribe(...args);
        return () => {
          open -= 1;
          unsubscribe();
        };
      },
    };
    const { operations, client, clock } = createPrintServer(never, { signals: counting });
    const { name } = await operations.create(Print, {});
    const waits = Array.from({ length: 100 }, () => client.wait(name, 50_000));
    await clock.advance(0);
    expect([subscriptions, open]).toEqual([1, 1]);
    await operations.succeed(Print, name, {});
    expect((await Promise.all(waits)).every(({ done }) => done)).toBe(true);
    expect([subscriptions, open]).toEqual([1, 0]);
  });

  it("server 73: a completion between the read and the wait is not lost", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    let finishDuringRead: (() => Promise<unknown>) | undefined;
    const { operations, client } = createPrintServer(never, {
      clock,
      store: {
        ...store,
        async get(name, options) {
          const record = await store.get(name, options);
          const finish = finishDuringRead;
          finishDuringRead = undefined;
          await finish?.();
          return record;
        },
      },
    });
    const { name } = await operations.create(Print, {});
    finishDuringRead = () => operations.succeed(Print, name, {});
    expect((await client.wait(name, 50_000)).done).toBe(true);
  });

  it("server 74: reads again from time to time where signals may be lost", async () => {
    const clock = createManualClock();
    const signals: Signals = {
      pollIntervalMs: 5000,
      subscribe: async () => () => undefined,
      publish: async () => undefined,
      close: async () => undefined,
    };
    const { operations, client } = createPrintServer(never, { clock, signals });
    const { name } = await operations.create(Print, {});
    const waiting = client.wait(name, 50_000);
    await clock.advance(1000);
    await operations.succeed(Print, name, {});
    await clock.advance(4000);
    expect((await waiting).done).toBe(true);
  });

  it("server 75: a client that stops waiting frees the waiter, and the work goes on", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, clock } = createPrintServer(() => gate.promise);
    const handle = await printer.print({});
    const controller = new AbortController();
    const waiting = client.wait(handle.name, 50_000, { signal: controller.signal });
    await clock.advance(0);
    expect(clock.scheduled()).toBe(1);
    controller.abort();
    expect((await rejectionOf(waiting)).code).toBe(Code.Canceled);
    await clock.advance(0);
    expect(clock.scheduled()).toBe(0);
    gate.resolve({ pages: 1 });
    expect(await handle.result()).toMatchObject({ pages: 1 });
  });

  it("server 78: progress does not wake who waits", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    let answered = false;
    const waiting = client.wait(name, 5000).then(() => {
      answered = true;
    });
    await clock.advance(0);
    await operations.report(Print, name, { pagesPrinted: 1 });
    await clock.advance(100);
    expect(answered).toBe(false);
    await clock.advance(5000);
    await waiting;
  });
});

describe("ListOperations", () => {
  async function serverWith(count: number) {
    const server = createPrintServer(never);
    const names: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const { name } = await server.operations.create(Print, {}, { parent: "printers/7" });
      names.unshift(name);
    }
    return { ...server, names };
  }

  it("server 51: takes the parent with and without its collection, and keeps parents apart", async () => {
    const { rpc, operations, names } = await serverWith(2);
    const { name: top } = await operations.create(Print, {});
    const list = async (name: string) =>
      (await rpc.listOperations({ name })).operations.map((operation) => operation.name);
    expect(await list("printers/7")).toEqual(names);
    expect(await list("printers/7/operations")).toEqual(names);
    expect(await list("")).toEqual([top]);
    expect(await list("operations")).toEqual([top]);
    expect(await list("printers/8")).toEqual([]);
  });

  it("server 35, 37: goes from page to page with whatever size, to an empty token", async () => {
    const { rpc, names } = await serverWith(5);
    const name = "printers/7";
    const one = await rpc.listOperations({ name, pageSize: 2 });
    const two = await rpc.listOperations({ name, pageSize: 1, pageToken: one.nextPageToken });
    const three = await rpc.listOperations({ name, pageSize: 100, pageToken: two.nextPageToken });
    const pages = [one, two, three].map((page) => page.operations.map((item) => item.name));
    expect(pages).toEqual([names.slice(0, 2), names.slice(2, 3), names.slice(3)]);
    expect(three.nextPageToken).toBe("");
  });

  it("server 32, 34: a page has 50 by default and 1000 at most", async () => {
    const { rpc } = await serverWith(1001);
    const size = async (pageSize: number) =>
      (await rpc.listOperations({ name: "printers/7", pageSize })).operations.length;
    expect(await size(0)).toBe(50);
    expect(await size(5000)).toBe(1000);
  });

  it("lists by done", async () => {
    const { rpc, operations, names } = await serverWith(3);
    const [, done = ""] = names;
    await operations.succeed(Print, done, {});
    const list = async (filter: string) =>
      (await rpc.listOperations({ name: "printers/7", filter })).operations.map((op) => op.name);
    expect(await list("done = true")).toEqual([done]);
    expect(await list(" done=false ")).toEqual(names.filter((name) => name !== done));
  });

  it.each([
    ["server 33: a negative page size", { pageSize: -1 }, "page_size"],
    ["server 45: a filter that is none", { filter: "done ==" }, "filter"],
    ["server 46: a filter on an unknown field", { filter: "colour = red" }, "filter"],
    ["a name that is none", { name: "//" }, "name"],
    ["server 41: a page token of garbage", { pageToken: "garbage" }, "page_token"],
    ["server 41: a page token that is no base64", { pageToken: "*%" }, "page_token"],
    ["server 41: an overlong page token", { pageToken: "A".repeat(1e6) }, "page_token"],
  ])("%s is INVALID_ARGUMENT", async (_, request, field) => {
    const { rpc } = createPrintServer(never);
    const error = await rejectionOf(
      rpc.listOperations(create(ListOperationsRequestSchema, request)),
    );
    expect(error.code).toBe(Code.InvalidArgument);
    expect(standardDetailsOf(error).badRequest?.fieldViolations[0]?.field).toBe(field);
  });

  it("server 38, 41: a page token holds for its own list, whole, and no other", async () => {
    const { rpc, names } = await serverWith(3);
    const name = "printers/7";
    const { nextPageToken: pageToken } = await rpc.listOperations({ name, pageSize: 1 });
    expect(pageToken).toMatch(/^[A-Za-z0-9_-]+$/);
    const tampered = `${pageToken.slice(0, -1)}${pageToken.endsWith("A") ? "B" : "A"}`;
    for (const request of [
      { name: "printers/8", pageToken },
      { name, filter: "done = true", pageToken },
      { name, pageToken: pageToken.slice(0, -4) },
      { name, pageToken: tampered },
    ]) {
      expect((await faultOf(rpc.listOperations(request))).code).toBe(Code.InvalidArgument);
    }
    const next = await rpc.listOperations({ name: "printers/7/operations", pageToken });
    expect(next.operations.map((operation) => operation.name)).toEqual(names.slice(1));
  });

  it("server 39: a page token does not reveal its content", async () => {
    const { rpc, names } = await serverWith(2);
    const { nextPageToken } = await rpc.listOperations({ name: "printers/7", pageSize: 1 });
    const bytes = Buffer.from(nextPageToken, "base64url").toString("latin1");
    expect(bytes).not.toContain("printers");
    expect(bytes).not.toContain(names[0]?.split("/").at(-1));
  });

  it("server 43: replicas that share a key take each other's tokens, and no others", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const pageTokenKey = new Uint8Array(32).fill(7);
    const one = createPrintServer(never, { store, clock, pageTokenKey });
    const other = createPrintServer(never, { store, clock, pageTokenKey });
    const stranger = createPrintServer(never, { store, clock });
    await one.operations.create(Print, {});
    const { name } = await one.operations.create(Print, {});
    const { operations, nextPageToken } = await one.rpc.listOperations({ pageSize: 1 });
    expect(operations[0]?.name).toBe(name);
    const request = { pageToken: nextPageToken };
    expect((await other.rpc.listOperations(request)).operations).toHaveLength(1);
    expect((await faultOf(stranger.rpc.listOperations(request))).code).toBe(Code.InvalidArgument);
  });

  it("server 52: return_partial_success is UNIMPLEMENTED", async () => {
    const { rpc } = createPrintServer(never);
    expect(await faultOf(rpc.listOperations({ returnPartialSuccess: true }))).toEqual({
      code: Code.Unimplemented,
      reason: "PARTIAL_SUCCESS_UNSUPPORTED",
    });
  });
});
