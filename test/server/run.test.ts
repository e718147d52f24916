import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { OperationError } from "../../src/index.js";
import { ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createMemoryStore,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import {
  type PrintMetadata,
  PrintMetadataSchema,
  type PrintResponse,
  PrintResponseSchema,
} from "../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print, type PrintWork } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

/** Work that stops as soon as it is asked to. */
const untilCancelled: PrintWork = ({ signal }) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

describe("running the work", () => {
  it("server 2: the work's return value is the response, in an Any of the declared type", async () => {
    const { printer, client } = createPrintServer(({ request }) => ({ pages: request.pages }));
    const handle = await printer.print({ pages: 3 });
    expect(await handle.result()).toMatchObject({ pages: 3 });
    const operation = await client.get(handle.name);
    expect(operation.done).toBe(true);
    assert(operation.result.case === "response");
    expect(operation.result.value.typeUrl).toBe("type.googleapis.com/printing.v1.PrintResponse");
  });

  it("server 13: a ConnectError becomes the operation's error, whole", async () => {
    const thrown = new ConnectError("no paper", Code.FailedPrecondition, undefined, [
      { desc: ErrorInfoSchema, value: { reason: "NO_PAPER", domain: "printing.example" } },
    ]);
    const { printer, events } = createPrintServer(() => Promise.reject(thrown));
    const error = await rejectionOf((await printer.print({})).result());
    assert(error instanceof OperationError);
    expect(error.kind).toBe("failed");
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe("no paper");
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("NO_PAPER");
    expect(events).toEqual([]);
  });

  it("server 3: any other error is UNKNOWN, says nothing of it, and goes to the log hook", async () => {
    const cause = new TypeError("secret path /etc/printer.key");
    const { printer, events } = createPrintServer(() => Promise.reject(cause));
    const handle = await printer.print({});
    const error = await rejectionOf(handle.result());
    expect(error.code).toBe(Code.Unknown);
    expect(JSON.stringify([error.rawMessage, ...error.details])).not.toContain("secret");
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("WORK_FAILED");
    expect(events).toEqual([
      {
        kind: "work-failed",
        name: handle.name,
        method: "printing.v1.PrintService/Print",
        attempt: 1,
        cause,
      },
    ]);
  });

  it("server 4: a response that the declared type cannot hold fails the operation", async () => {
    const { printer, events } = createPrintServer(() => ({ pages: 1.5 }));
    const error = await rejectionOf((await printer.print({})).result());
    expect(error.code).toBe(Code.Unknown);
    expect(events[0]).toMatchObject({ kind: "work-failed" });
  });

  it("work that throws before it returns a promise fails its operation alone", async () => {
    const { printer } = createPrintServer(() => {
      throw new ConnectError("broken", Code.DataLoss);
    });
    expect((await rejectionOf((await printer.print({})).result())).code).toBe(Code.DataLoss);
  });

  it("server 4: a response of another type fails the operation", async () => {
    const other = create(PrintMetadataSchema, { pagesPrinted: 7 });
    // As work returns it whose method was declared without its types.
    const { printer, events } = createPrintServer(() => other as unknown as PrintResponse);
    expect((await rejectionOf((await printer.print({})).result())).code).toBe(Code.Unknown);
    expect(events).toMatchObject([{ kind: "work-failed" }]);
  });

  it("server 4: metadata and responses of another type are refused where they are written", async () => {
    const response = create(PrintResponseSchema, { pages: 7 });
    const metadata = create(PrintMetadataSchema, { pagesPrinted: 7 });
    const refusals: unknown[] = [];
    const { printer, operations, client } = createPrintServer((operation) => {
      try {
        // As work reports it whose method was declared without its types.
        operation.report(response as unknown as PrintMetadata);
      } catch (thrown) {
        refusals.push(thrown);
      }
      return { pages: 1 };
    });
    await (await printer.print({})).result();
    const { name } = await operations.create(Print, {});
    const calls = [
      operations.report(Print, name, response as unknown as PrintMetadata),
      operations.succeed(Print, name, metadata as unknown as PrintResponse),
    ];
    for (const call of calls) refusals.push(await call.catch((thrown: unknown) => thrown));
    expect(refusals).toEqual(Array(3).fill(expect.any(TypeError)));
    expect(await client.get(name)).toMatchObject({ done: false });
    expect((await client.get(name)).metadata).toBeUndefined();
  });

  it("an error that cannot be encoded still ends the operation, once", async () => {
    let runs = 0;
    const { printer, events, clock } = createPrintServer(() => {
      runs += 1;
      const value = { retryDelay: { seconds: 1.5 as unknown as bigint } };
      throw new ConnectError("x", Code.Aborted, undefined, [{ desc: RetryInfoSchema, value }]);
    });
    const handle = await printer.print({});
    expect((await rejectionOf(handle.result())).code).toBe(Code.Unknown);
    await clock.advance(60_000);
    expect(runs).toBe(1);
    expect(events).toMatchObject([{ kind: "work-failed" }]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("disk full")).then()],
    [
      "throws at once",
      () => {
        throw new Error("disk full");
      },
    ],
  ])("a log hook that %s does not stand in the way", async (_, log: () => void) => {
    const { printer } = createPrintServer(() => Promise.reject(new Error("x")), { log });
    expect((await rejectionOf((await printer.print({})).result())).code).toBe(Code.Unknown);
  });

  it("hands the work its request, its name and the number of the attempt", async () => {
    const seen = createDeferred<{ name: string; pages: number; attempt: number }>();
    const { printer } = createPrintServer(({ name, request, attempt }) => {
      seen.resolve({ name, pages: request.pages, attempt });
      return {};
    });
    const { name } = await printer.print({ pages: 5 });
    expect(await seen.promise).toEqual({ name, pages: 5, attempt: 1 });
  });
});

describe("reporting", () => {
  /** A store that counts the reports that reach it. */
  function countingStore(clock = createManualClock()) {
    const store = createMemoryStore({ clock });
    const counted = { reports: 0 };
    const counting: OperationStore = {
      ...store,
      report(...args) {
        counted.reports += 1;
        return store.report(...args);
      },
    };
    return { store: counting, counted, clock };
  }

  it("shows the latest report, and writes at most one per interval", async () => {
    const { store, counted, clock } = countingStore();
    const gate = createDeferred<{ pages: number }>();
    const { printer, client } = createPrintServer(
      (operation) => {
        for (let page = 1; page <= 1000; page += 1) operation.report({ pagesPrinted: page });
        return gate.promise;
      },
      { store, clock, reportIntervalMs: 100 },
    );
    const { name } = await printer.print({});
    const pages = async () => (await client.resume(Print, name)).snapshot.metadata?.pagesPrinted;
    await clock.advance(0);
    expect([counted.reports, await pages()]).toEqual([1, 1]);
    await clock.advance(99);
    expect([counted.reports, await pages()]).toEqual([1, 1]);
    await clock.advance(1);
    expect([counted.reports, await pages()]).toEqual([2, 1000]);
    await clock.advance(10_000);
    expect(counted.reports).toBe(2);
    gate.resolve({ pages: 1000 });
  });

  it("writes the last report with the end, however soon that comes", async () => {
    const { store, counted, clock } = countingStore();
    const { printer } = createPrintServer(
      (operation) => {
        operation.report({ pagesPrinted: 1 });
        operation.report({ pagesPrinted: 2 });
        return { pages: 2 };
      },
      { store, clock },
    );
    const handle = await printer.print({});
    await handle.result();
    expect(handle.snapshot.metadata?.pagesPrinted).toBe(2);
    expect(counted.reports).toBe(1);
    expect(clock.scheduled()).toBe(0);
  });

  it("server 8: a report after the end changes nothing", async () => {
    const late = createDeferred<() => void>();
    const { printer, client, clock } = createPrintServer((operation) => {
      late.resolve(() => operation.report({ pagesPrinted: 99 }));
      return { pages: 1 };
    });
    const handle = await printer.print({});
    await handle.result();
    (await late.promise)();
    await clock.advance(1000);
    expect((await client.get(handle.name)).metadata).toBeUndefined();
  });

  it("a report that the type cannot hold throws where it is made", async () => {
    const { printer } = createPrintServer((operation) => {
      expect(() => operation.report({ pagesPrinted: 0.5 })).toThrow();
      return { pages: 1 };
    });
    expect(await (await printer.print({})).result()).toMatchObject({ pages: 1 });
  });

  it("a store that fails a report does not fail the operation", async () => {
    const { store, clock } = countingStore();
    const failing: OperationStore = {
      ...store,
      report: () => Promise.reject(new ConnectError("away", Code.Unavailable)),
    };
    const { printer, events } = createPrintServer(
      (operation) => {
        operation.report({ pagesPrinted: 1 });
        return { pages: 1 };
      },
      { store: failing, clock },
    );
    const handle = await printer.print({});
    expect(await handle.result()).toMatchObject({ pages: 1 });
    expect(handle.snapshot.metadata?.pagesPrinted).toBe(1);
    expect(events).toMatchObject([{ kind: "store-failed" }]);
  });
});

describe("ending", () => {
  it("tries the terminal write again while the store is away", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    let failures = 3;
    const flapping: OperationStore = {
      ...store,
      finish(...args) {
        failures -= 1;
        if (failures >= 0) return Promise.reject(new ConnectError("away", Code.Unavailable));
        return store.finish(...args);
      },
    };
    const { printer, client, events } = createPrintServer(() => ({ pages: 1 }), {
      store: flapping,
      clock,
    });
    const { name } = await printer.print({});
    await clock.advance(60_000);
    expect((await client.get(name)).result.case).toBe("response");
    expect(events.map(({ kind }) => kind)).toEqual(Array(3).fill("store-failed"));
  });

  it("drops the result of an attempt that another has taken over from, and says so", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const gate = createDeferred<{ pages: number }>();
    const { printer, client, events } = createPrintServer(() => gate.promise, { store, clock });
    const { name } = await printer.print({});
    await clock.advance(0);
    await store.claim(name);
    gate.resolve({ pages: 1 });
    await clock.advance(0);
    expect((await client.get(name)).done).toBe(false);
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
  });

  it("aborts the signal of an attempt whose report shows that another has taken over", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const started = createDeferred<() => void>();
    const reason = createDeferred<unknown>();
    const { printer } = createPrintServer(
      (operation) => {
        operation.signal.addEventListener("abort", () => reason.resolve(operation.signal.reason));
        started.resolve(() => operation.report({ pagesPrinted: 1 }));
        return new Promise(() => undefined);
      },
      { store, clock },
    );
    const { name } = await printer.print({});
    const report = await started.promise;
    await store.claim(name);
    report();
    expect(await reason.promise).toMatchObject({ code: Code.Aborted });
  });
});

describe("cancelling", () => {
  it("server 55, 56: answers at once; the work stops, and the operation is done with code 1", async () => {
    const { printer, client, clock } = createPrintServer(untilCancelled);
    const handle = await printer.print({});
    await clock.advance(0);
    await handle.cancel();
    const error = await rejectionOf(handle.result());
    assert(error instanceof OperationError);
    expect(error.kind).toBe("cancelled");
    const operation = await client.get(handle.name);
    assert(operation.result.case === "error");
    expect(operation.result.value.code).toBe(1);
  });

  it("server 57: work that returns in spite of it has succeeded", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, clock } = createPrintServer(() => gate.promise);
    const handle = await printer.print({});
    await clock.advance(0);
    await handle.cancel();
    gate.resolve({ pages: 3 });
    expect(await handle.result()).toMatchObject({ pages: 3 });
  });

  it("what else the work throws after it rides along as a detail", async () => {
    const { printer, clock } = createPrintServer(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            reject(new ConnectError("tray open", Code.Aborted));
          });
        }),
    );
    const handle = await printer.print({});
    await clock.advance(0);
    await handle.cancel();
    const error = await rejectionOf(handle.result());
    expect(error.code).toBe(Code.Canceled);
    expect(error.findDetails(StatusSchema)).toEqual([
      create(StatusSchema, { code: Code.Aborted, message: "tray open" }),
    ]);
  });

  it("server 59: an operation that still waits for its turn is cancelled without running", async () => {
    const ran: string[] = [];
    const gate = createDeferred<{ pages: number }>();
    const { printer } = createPrintServer(
      ({ name }) => {
        ran.push(name);
        return gate.promise;
      },
      { dispatcher: createInProcessDispatcher({ maxConcurrent: 1 }) },
    );
    const first = await printer.print({});
    const second = await printer.print({});
    await second.cancel();
    expect((await rejectionOf(second.result())).code).toBe(Code.Canceled);
    gate.resolve({ pages: 1 });
    await first.result();
    expect(ran).toEqual([first.name]);
  });
});

describe("losing an attempt", () => {
  it("does not end the operation: the exception of the work is written nowhere", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const inProcess = createInProcessDispatcher({ clock });
    const lease = new AbortController();
    const { printer, client, events } = createPrintServer(untilCancelled, {
      clock,
      store,
      dispatcher: {
        ...inProcess,
        serve: (method, run) =>
          inProcess.serve(method, (delivery) => run({ ...delivery, signal: lease.signal })),
      },
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    lease.abort();
    await clock.advance(0);
    expect(events).toEqual([{ kind: "attempt-lost", name, attempt: 1 }]);
    expect((await client.get(name)).done).toBe(false);
  });
});

describe("work that runs elsewhere", () => {
  it("is reported on and ended by name", async () => {
    const { operations, client } = createPrintServer(() => ({}));
    const { name } = await operations.create(Print, { pages: 2 }, { parent: "printers/7" });
    expect(await operations.report(Print, name, { pagesPrinted: 1 })).toEqual({
      cancelRequested: false,
    });
    const handle = await client.resume(Print, name);
    expect(handle.snapshot.metadata?.pagesPrinted).toBe(1);
    await operations.succeed(Print, name, { pages: 2 });
    expect(await handle.result()).toMatchObject({ pages: 2 });
  });

  it("gets a request to cancel with its next report, and responds by failing", async () => {
    const { operations, client } = createPrintServer(() => ({}));
    const { name } = await operations.create(Print, {});
    await client.cancel(name);
    expect((await client.get(name)).done).toBe(false);
    expect(await operations.report(Print, name, {})).toEqual({ cancelRequested: true });
    await operations.fail(name, new ConnectError("stopped", Code.Canceled));
    const handle = await client.resume(Print, name);
    expect(await rejectionOf(handle.result())).toMatchObject({ kind: "cancelled" });
  });

  it("is refused what a done, a foreign or an unknown operation cannot take", async () => {
    const { operations, printer } = createPrintServer(untilCancelled);
    const { name } = await operations.create(Print, {});
    await operations.succeed(Print, name, {});
    const own = await printer.print({});
    const reasons = [
      operations.succeed(Print, name, {}),
      operations.report(Print, name, {}),
      operations.fail(own.name, new ConnectError("x")),
      operations.fail("operations/unknown", new ConnectError("x")),
    ].map(async (call) => standardDetailsOf(await rejectionOf(call)).errorInfo?.reason);
    expect(await Promise.all(reasons)).toEqual([
      "OPERATION_DONE",
      "OPERATION_DONE",
      "OPERATION_NOT_EXTERNAL",
      "OPERATION_NOT_FOUND",
    ]);
  });
});
