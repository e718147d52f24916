import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { longRunning } from "../../src/index.js";
import { type Operation, Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { BookSchema } from "../gen/binding/v1/binding_pb.js";
import { FaultyService, PrintRequestSchema, PrintService } from "../gen/printing/v1/printing_pb.js";
import { BindBook, createBindServer } from "../support/bind-server.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { never } from "../support/print-work.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";
import { startServer } from "../support/servers.js";

/** The book in an operation that has succeeded. */
function bookOf({ done, result }: Operation) {
  assert(done && result.case === "response");
  return anyUnpack(result.value, BookSchema);
}

const reasonOfCall = async (call: Promise<unknown>) => (await rejectionDetailsOf(call)).errorInfo;

describe("a method's declaration", () => {
  it("server 5: is refused without operation_info, before anything is served", () => {
    expect(() => longRunning(FaultyService.method.bare)).toThrow("operation_info");
    expect(() => longRunning(FaultyService.method.half)).toThrow("metadata_type");
  });

  it("server 18: is refused where its types are not those of the descriptor", () => {
    const types = { response: PrintRequestSchema, metadata: Print.metadata };
    expect(() => longRunning(PrintService.method.print, types)).toThrow(
      'names "printing.v1.PrintResponse" as response_type',
    );
  });

  it("server 17: answers on the wire with one message, and to no stream", async () => {
    const operations = createOperations();
    const print = operations.handle(Print, never);
    const server = await startServer({
      routes: (router) => {
        router.service(Operations, operations.service);
        router.service(PrintService, { print });
      },
      operations,
    });
    try {
      const start = (contentType: string) =>
        fetch(`${server.baseUrl}/printing.v1.PrintService/Print`, {
          method: "POST",
          headers: { "content-type": contentType },
          body: "{}",
        });
      const answer = await start("application/json");
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(await answer.json()).toMatchObject({ name: expect.stringMatching(/^operations\//) });
      expect((await start("application/connect+json")).status).toBe(415);
    } finally {
      await server.close();
    }
  });

  it.each([
    ["retentionMs", { retentionMs: -1 }],
    ["deadlineMs", { deadlineMs: Number.NaN }],
    ["cancelGraceMs", { cancelGraceMs: -1 }],
    ["maxConcurrent", { maxConcurrent: 0 }],
    ["retry.maxAttempts", { retry: { maxAttempts: 0.5 } }],
    ["retry.initialDelayMs", { retry: { initialDelayMs: -1 } }],
    ["retry.maxDelayMs", { retry: { maxDelayMs: Number.NaN } }],
    ["retry.multiplier", { retry: { multiplier: 0.5 } }],
  ])("is refused with nonsense as %s, naming it", (name, method) => {
    expect(() => createPrintServer(never, { method })).toThrow(name);
    expect(() => createPrintServer(never, { method })).toThrow(RangeError);
  });
});

describe("the name of an operation", () => {
  it("server 6: may be the method's own", async () => {
    const { binder, rpc } = createBindServer(() => ({}), {
      method: { name: ({ parent, bookId }) => `${parent}/operations/bind-${bookId}` },
    });
    const { name } = await binder.bindBook({ parent: "shelves/7", bookId: "dune" });
    expect(name).toBe("shelves/7/operations/bind-dune");
    const { operations } = await rpc.listOperations({ name: "shelves/7" });
    expect(operations.map((operation) => operation.name)).toEqual([name]);
  });

  it.each([
    "",
    "bind-1",
    "operations/",
    "operations/Bind",
    "operations/a+b",
    "operations/a=",
    "operations/-a",
    "operations/a-",
    `operations/${"a".repeat(64)}`,
    "shelves//operations/a",
    "operations/a/b",
  ])("server 6: is refused where it is not of the form, as %j", async (name) => {
    const { binder, rpc } = createBindServer(() => ({}), { method: { name: () => name } });
    const details = await rejectionDetailsOf(binder.bindBook({}));
    expect(details.badRequest?.fieldViolations[0]?.field).toBe("name");
    expect((await rpc.listOperations({})).operations).toEqual([]);
  });

  it("server 91: is authorized with its own parent, after the parent in the request", async () => {
    const asked: string[] = [];
    const { binder } = createBindServer(never, {
      method: { name: ({ bookId }) => `shelves/${bookId}/operations/bind` },
      authorize({ name }) {
        asked.push(name);
        return { allow: name === "shelves/1" };
      },
    });
    await binder.bindBook({ parent: "shelves/1", bookId: "1" });
    expect(asked).toEqual(["shelves/1"]);
    const denied = await rejectionOf(binder.bindBook({ parent: "shelves/1", bookId: "2" }));
    expect(denied.code).toBe(Code.PermissionDenied);
    expect(asked).toEqual(["shelves/1", "shelves/1", "shelves/2"]);
  });

  it("is refused with ALREADY_EXISTS where it is in use", async () => {
    const { binder, operations } = createBindServer(never, {
      method: { name: () => "operations/one" },
    });
    await binder.bindBook({});
    const call = binder.bindBook({});
    expect((await rejectionOf(call)).code).toBe(Code.AlreadyExists);
    expect(await reasonOfCall(call)).toMatchObject({ reason: "OPERATION_EXISTS" });
    const given = operations.start(BindBook, {}, { name: "operations/one" });
    expect((await rejectionOf(given)).code).toBe(Code.AlreadyExists);
  });
});

describe("a request id", () => {
  it("server 22: must be a UUID4 where its field says so, and only there", async () => {
    const { binder } = createBindServer(never);
    for (const requestId of [
      "x",
      "0190a5f0-7c3b-7000-8000-000000000000",
      crypto.randomUUID().slice(1),
    ]) {
      const details = await rejectionDetailsOf(binder.bindBook({ requestId }));
      expect(details.badRequest?.fieldViolations[0]?.field).toBe("request_id");
    }
    const requestId = crypto.randomUUID();
    const { name } = await binder.bindBook({ requestId });
    expect((await binder.bindBook({ requestId: requestId })).name).toBe(name);
    const { printer } = createPrintServer(never);
    await printer.print({ requestId: "not a uuid" });
  });

  it("server 23: sent to two servers over one store at once starts one operation", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const [one, other] = [
      createPrintServer(never, { clock, store }),
      createPrintServer(never, { clock, store }),
    ];
    const request = { requestId: crypto.randomUUID() };
    const calls = Array.from({ length: 20 }, (_, at) =>
      (at % 2 ? one : other).printer.print(request),
    );
    const names = new Set((await Promise.all(calls)).map(({ name }) => name));
    expect(names.size).toBe(1);
    expect((await one.rpc.listOperations({})).operations).toHaveLength(1);
  });

  it("server 26: is remembered for as long as its operation is kept", async () => {
    const { operations, clock } = createPrintServer(() => ({}), { retentionMs: 60 * 60 * 1000 });
    const request = { requestId: crypto.randomUUID() };
    const { name } = await operations.start(Print, request);
    await clock.advance(60 * 60 * 1000 - 1);
    expect((await operations.start(Print, request)).name).toBe(name);
    // The id goes with the record, which a sweep takes away within a minute.
    await clock.advance(2 * 60_000);
    expect((await operations.start(Print, request)).name).not.toBe(name);
  });
});

describe("a request with validate_only", () => {
  it("server 16: runs all checks, does and stores nothing, and answers with an empty response", async () => {
    let runs = 0;
    const { binder, rpc } = createBindServer(
      () => {
        runs += 1;
        return {};
      },
      {
        method: {
          validate({ pages }) {
            if (pages < 1) throw new ConnectError("no pages", Code.InvalidArgument);
          },
          tryNow() {
            throw new Error("nothing is to be done");
          },
        },
      },
    );
    const requestId = crypto.randomUUID();
    const shown = await binder.bindBook({ validateOnly: true, pages: 3, requestId });
    expect(shown).toMatchObject({ name: "", done: true });
    expect(bookOf(shown)).toMatchObject({ name: "", pages: 0 });
    for (const bad of [{ pages: 0 }, { pages: 1, parent: "a//b" }, { pages: 1, requestId: "x" }]) {
      const error = await rejectionOf(binder.bindBook({ validateOnly: true, ...bad }));
      expect(error.code).toBe(Code.InvalidArgument);
    }
    expect((await rpc.listOperations({})).operations).toEqual([]);
    expect(runs).toBe(0);
  });

  it("server 16: is denied to a caller that may not start", async () => {
    const { binder } = createBindServer(never, { authorize: () => ({ allow: false }) });
    const error = await rejectionOf(binder.bindBook({ validateOnly: true }));
    expect(error.code).toBe(Code.PermissionDenied);
  });

  it("server 16: shows what the method says, and leaves its request id unused", async () => {
    const { binder } = createBindServer(never, {
      method: {
        validateOnly: ({ parent, pages }) => ({ name: `${parent}/books/new`, pages }),
        tryNow: () => undefined,
      },
    });
    const request = { parent: "shelves/1", pages: 3, requestId: crypto.randomUUID() };
    const shown = await binder.bindBook({ ...request, validateOnly: true });
    expect(bookOf(shown)).toMatchObject({ name: "shelves/1/books/new", pages: 3 });
    expect((await binder.bindBook(request)).done).toBe(false);
  });

  it("server 16: is refused as the start would be, for a busy resource and a name that is taken", async () => {
    const { binder, rpc } = createBindServer(never, {
      method: {
        parallel: "refuse",
        resource: ({ parent }) => parent,
        name: ({ parent, pages }) => `${parent}/operations/book-${pages}`,
      },
    });
    const first = await binder.bindBook({ parent: "shelves/1", pages: 1 });
    const busy = { parent: "shelves/1", pages: 2 };
    for (const validateOnly of [true, false]) {
      const error = await rejectionOf(binder.bindBook({ ...busy, validateOnly }));
      expect(error.code).toBe(Code.Aborted);
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("RESOURCE_BUSY");
      const taken = await rejectionOf(
        binder.bindBook({ parent: "shelves/1", pages: 1, validateOnly }),
      );
      expect(taken.code).toBe(Code.AlreadyExists);
    }
    await rpc.cancelOperation({ name: first.name });
    const other = { parent: "shelves/2", pages: 2, validateOnly: true };
    expect((await binder.bindBook(other)).done).toBe(true);
    expect((await binder.bindBook(other)).done).toBe(true);
  });

  it("server 16: starts nothing if the program makes the call, either", async () => {
    const { operations, rpc } = createBindServer(never);
    expect((await operations.start(BindBook, { validateOnly: true })).done).toBe(true);
    expect((await operations.create(BindBook, { validateOnly: true })).done).toBe(true);
    expect((await rpc.listOperations({})).operations).toEqual([]);
  });
});

describe("an operation that needs no work", () => {
  it("server 11: is done when it is returned, is kept, and never runs", async () => {
    let runs = 0;
    const { binder, rpc, clock } = createBindServer(
      () => {
        runs += 1;
        return {};
      },
      { method: { tryNow: ({ pages }) => (pages === 0 ? { name: "books/empty" } : undefined) } },
    );
    const requestId = crypto.randomUUID();
    const operation = await binder.bindBook({ requestId });
    expect(bookOf(operation)).toMatchObject({ name: "books/empty" });
    await clock.advance(1000);
    expect(await rpc.getOperation({ name: operation.name })).toEqual(operation);
    expect((await binder.bindBook({ requestId })).name).toBe(operation.name);
    expect(runs).toBe(0);
    expect((await binder.bindBook({ pages: 1 })).done).toBe(false);
    await clock.advance(0);
    expect(runs).toBe(1);
  });

  it("server 12: is not started where answering it at once fails", async () => {
    const { binder, rpc } = createBindServer(never, {
      method: {
        tryNow() {
          throw new ConnectError("shelf is full", Code.FailedPrecondition);
        },
      },
    });
    expect((await rejectionOf(binder.bindBook({}))).code).toBe(Code.FailedPrecondition);
    expect((await rpc.listOperations({})).operations).toEqual([]);
  });

  it("server 10: the effects of the start before its response are visible to readers of the operation", async () => {
    const shelf: string[] = [];
    const shelving = createDeferred();
    const { binder, rpc } = createBindServer(never, {
      method: {
        async validate({ bookId }) {
          await shelving.promise;
          shelf.push(`${bookId} (being bound)`);
        },
      },
    });
    let isStarted = false;
    const starting = binder.bindBook({ bookId: "dune" }).then((operation) => {
      isStarted = true;
      return operation;
    });
    // No call can read the operation before its resource exists.
    expect((await rpc.listOperations({})).operations).toEqual([]);
    expect([isStarted, shelf]).toEqual([false, []]);
    shelving.resolve();
    const { name } = await starting;
    expect(shelf).toEqual(["dune (being bound)"]);
    expect((await rpc.getOperation({ name })).done).toBe(false);
  });
});
