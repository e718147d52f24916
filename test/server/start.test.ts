import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../src/store/index.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";

const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const never = () => new Promise<never>(() => undefined);

describe("starting an operation", () => {
  it("server 9: the operation can be read as soon as it is returned", async () => {
    const { printer, client } = createPrintServer(never);
    const handle = await printer.print({ pages: 3 });
    expect(await client.get(handle.name)).toMatchObject({ name: handle.name, done: false });
  });

  it("server 1: an operation that is not done has no result", async () => {
    const { printer } = createPrintServer(never);
    const { operation } = (await printer.print({})).snapshot;
    expect(operation.done).toBe(false);
    expect(operation.result.case).toBeUndefined();
  });

  it("server 6: names it {parent/}operations/{UUIDv7}", async () => {
    const { printer } = createPrintServer(never);
    const [collection, id] = (await printer.print({})).name.split("/");
    expect(collection).toBe("operations");
    expect(id).toMatch(uuidv7);
    const { name } = await printer.print({ parent: "printers/7" });
    expect(name.replace(/[^/]*$/, "")).toBe("printers/7/operations/");
  });

  it("takes the parent that the method's options derive", async () => {
    const { printer } = createPrintServer(never, {
      method: { parent: (request) => `${request.parent}/trays/1` },
    });
    const { name } = await printer.print({ parent: "printers/7" });
    expect(name.startsWith("printers/7/trays/1/operations/")).toBe(true);
  });

  it("refuses a parent that is not a resource name, and starts nothing", async () => {
    const { printer, client } = createPrintServer(never);
    const details = await rejectionDetailsOf(printer.print({ parent: "printers//7" }));
    expect(details.badRequest?.fieldViolations[0]?.field).toBe("parent");
    expect(
      await client
        .list({ name: "printers//7" })
        .pages()
        [Symbol.asyncIterator]()
        .next()
        .catch((error: ConnectError) => error.code),
    ).toBe(Code.InvalidArgument);
  });

  it("refuses a parent that would make the name too long to be read", async () => {
    const { printer, client } = createPrintServer(never);
    const longest = `printers/${"x".repeat(1024 - 9 - 48)}`;
    const { name } = await printer.print({ parent: longest });
    expect(name).toHaveLength(1024);
    expect((await client.get(name)).name).toBe(name);
    const details = await rejectionDetailsOf(printer.print({ parent: `${longest}x` }));
    expect(details.badRequest?.fieldViolations[0]?.field).toBe("parent");
  });

  it("server 12: an exception of validate is the call's own error, and no operation is created", async () => {
    let ran = false;
    const { printer, rpc } = createPrintServer(
      () => {
        ran = true;
        return {};
      },
      {
        method: {
          validate({ pages }) {
            if (pages < 1) throw new ConnectError("no pages", Code.InvalidArgument);
          },
        },
      },
    );
    const error = await rejectionOf(printer.print({ pages: 0 }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe("no pages");
    expect((await rpc.listOperations({})).operations).toEqual([]);
    expect(ran).toBe(false);
  });

  it("server 19, 20: a request id that comes again gets the same operation, and the work runs once", async () => {
    let runs = 0;
    const { printer } = createPrintServer(() => {
      runs += 1;
      return { pages: 3 };
    });
    const request = { pages: 3, requestId: crypto.randomUUID() };
    const first = await printer.print(request);
    const [again, meanwhile] = await Promise.all([printer.print(request), printer.print(request)]);
    expect([again.name, meanwhile.name]).toEqual([first.name, first.name]);
    expect(await again.result()).toMatchObject({ pages: 3 });
    expect(runs).toBe(1);
  });

  it("server 21: without a request id each call starts its own", async () => {
    const { printer } = createPrintServer(never);
    const [one, other] = [await printer.print({}), await printer.print({})];
    expect(one.name).not.toBe(other.name);
  });

  it("server 24: refuses a request id with another payload", async () => {
    const { printer } = createPrintServer(never);
    const requestId = crypto.randomUUID();
    await printer.print({ pages: 3, requestId });
    const call = printer.print({ pages: 4, requestId });
    const error = await rejectionOf(call);
    expect(error.code).toBe(Code.InvalidArgument);
    const details = await rejectionDetailsOf(call);
    expect(details.errorInfo?.reason).toBe("REQUEST_ID_REUSED");
    expect(details.badRequest?.fieldViolations[0]?.field).toBe("request_id");
  });

  it("server 67: refuses a request id whose operation was deleted, and starts nothing", async () => {
    let runs = 0;
    const { printer } = createPrintServer(() => {
      runs += 1;
      return {};
    });
    const requestId = crypto.randomUUID();
    const handle = await printer.print({ requestId });
    await handle.result();
    await handle.delete();
    const call = printer.print({ requestId });
    expect((await rejectionOf(call)).code).toBe(Code.FailedPrecondition);
    expect((await rejectionDetailsOf(call)).errorInfo).toMatchObject({
      reason: "REQUEST_ID_SPENT",
      metadata: { requestId, name: handle.name },
    });
    expect(runs).toBe(1);
  });

  it("server 25: one request id in two parents starts two operations", async () => {
    const { printer } = createPrintServer(never);
    const requestId = crypto.randomUUID();
    const one = await printer.print({ parent: "printers/1", requestId });
    const other = await printer.print({ parent: "printers/2", requestId });
    expect(one.name).not.toBe(other.name);
  });

  it("refuses an overlong request id", async () => {
    const { printer } = createPrintServer(never);
    const details = await rejectionDetailsOf(printer.print({ requestId: "x".repeat(129) }));
    expect(details.badRequest?.fieldViolations[0]?.field).toBe("request_id");
  });

  it("answers RESOURCE_EXHAUSTED with RetryInfo when the store is full, until something expires", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, operations, clock } = createPrintServer(() => gate.promise, {
      store: createMemoryStore({ maxOperations: 1 }),
      retentionMs: 0,
    });
    // Without a request id, of which a trace would be kept.
    const first = await operations.start(Print, {});
    const call = printer.print({});
    expect((await rejectionOf(call)).code).toBe(Code.ResourceExhausted);
    const details = await rejectionDetailsOf(call);
    expect(details.errorInfo?.reason).toBe("STORE_FULL");
    expect(details.retryInfo?.retryDelay?.seconds).toBe(60n);
    gate.resolve({ pages: 1 });
    // With no retention it is gone as soon as it is done.
    await clock.advance(0);
    expect((await printer.print({})).name).not.toBe(first.name);
  });

  it("refuses to handle a method twice", () => {
    const { operations } = createPrintServer(never);
    expect(() => operations.handle(Print, never)).toThrow(
      "printing.v1.PrintService/Print is handled already",
    );
  });

  it.each([
    ["retentionMs", { retentionMs: -1 }],
    ["maxWaitMs", { maxWaitMs: Number.NaN }],
    ["reportIntervalMs", { reportIntervalMs: -5 }],
    ["pageTokenKey", { pageTokenKey: new Uint8Array(31) }],
  ])("refuses nonsense as %s, naming it", (name, options) => {
    expect(() => createPrintServer(never, options)).toThrow(name);
  });

  it("start runs the work of a method that is handled, without an RPC", async () => {
    const { operations, client } = createPrintServer(({ request }) => ({ pages: request.pages }));
    const { name } = await operations.start(Print, { pages: 2 }, { parent: "printers/9" });
    expect(name.startsWith("printers/9/operations/")).toBe(true);
    const handle = await client.resume(Print, name);
    expect(await handle.result()).toMatchObject({ pages: 2 });
  });
});
