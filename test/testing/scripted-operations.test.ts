import { EmptySchema, StringValueSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { assert, describe, expect, it } from "vitest";
import {
  createLongRunningClient,
  createOperationsClient,
  longRunning,
  OperationError,
  pack,
  standardDetailsOf,
  watchAll,
} from "../../src/index.js";
import { ErrorInfoSchema, Operations } from "../../src/protos.js";
import {
  createManualClock,
  createScriptedOperations,
  type OperationScript,
  type ScriptedOperationsOptions,
} from "../../src/testing/index.js";
import {
  PrintMetadataSchema,
  type PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { createCountedAbort } from "../support/counted-signal.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { startServer } from "../support/servers.js";

type PrintScript = OperationScript<typeof PrintResponseSchema, typeof PrintMetadataSchema>;

const Clean = longRunning(PrintService.method.clean, {
  response: EmptySchema,
  metadata: TimestampSchema,
});

/** A scripted server on a manual clock, and clients of it. */
function createServer(options: ScriptedOperationsOptions & { mode?: "auto" | "poll" } = {}) {
  const { mode, ...rest } = options;
  const clock = createManualClock();
  const scripted = createScriptedOperations({ clock, ...rest });
  const settings = { clock, mode, poll: { jitter: 0, multiplier: 1 } };
  return {
    clock,
    scripted,
    printer: createLongRunningClient({ print: Print }, scripted.transport, settings),
    client: createOperationsClient(scripted.transport, settings),
    rpc: createClient(Operations, scripted.transport),
  };
}

/** A handle of an operation that goes by a script; its client polls every second. */
async function started(script: PrintScript, mode: "auto" | "poll" = "poll") {
  const server = createServer({ mode });
  server.scripted.handle(Print, script);
  return { ...server, handle: await server.printer.print({}) };
}

/** The OperationError that a call rejects with. */
async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

/** The times of the calls of a method, in milliseconds since the first call of all. */
function timesOf({ scripted }: ReturnType<typeof createServer>, method: string): number[] {
  const firstMs = scripted.calls[0]?.atMs ?? 0;
  return scripted.calls.filter((call) => call.method === method).map((call) => call.atMs - firstMs);
}

describe("the states of a scripted operation", () => {
  it("are running for good where the script is empty", async () => {
    const { handle, clock } = await started({});
    const error = operationErrorOf(handle.result({ timeoutMs: 120_000 }));
    await clock.advance(120_000);
    expect((await error).kind).toBe("timeout");
    expect(handle.snapshot.kind).toBe("running");
  });

  it("end with the poll that afterPolls names", async () => {
    const { handle, clock, scripted } = await started({
      states: [{ afterPolls: 5, response: { pages: 3 } }],
    });
    const result = handle.result();
    await clock.advance(4999);
    expect(scripted.count("GetOperation")).toBe(4);
    expect(handle.snapshot.kind).toBe("running");
    await clock.advance(1);
    expect(await result).toMatchObject({ pages: 3 });
    expect(scripted.count("GetOperation")).toBe(5);
  });

  it("end at the time of afterMs, however often the client polls", async () => {
    const { handle, clock, client } = await started({
      states: [{ afterMs: 60_000, response: { pages: 3 } }],
    });
    for (let look = 0; look < 10; look += 1) {
      expect(await client.get(handle.name)).toMatchObject({ done: false });
    }
    await clock.advance(59_999);
    expect(await client.get(handle.name)).toMatchObject({ done: false });
    await clock.advance(1);
    expect(await client.get(handle.name)).toMatchObject({ done: true });
  });

  it("need both where afterPolls and afterMs are given", async () => {
    const { handle, clock, client } = await started({
      states: [{ afterPolls: 2, afterMs: 1000, response: {} }],
    });
    await client.get(handle.name);
    expect((await client.get(handle.name)).done).toBe(false);
    await clock.advance(1000);
    expect((await client.get(handle.name)).done).toBe(true);
    const late = await started({ states: [{ afterPolls: 2, afterMs: 1000, response: {} }] });
    await late.clock.advance(1000);
    expect((await late.client.get(late.handle.name)).done).toBe(false);
    expect((await late.client.get(late.handle.name)).done).toBe(true);
  });

  it("may be the end from the start", async () => {
    const { handle, scripted } = await started({ states: [{ response: { pages: 3 } }] });
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect(scripted.calls).toHaveLength(1);
  });

  it("show their metadata look by look, and keep that of the state before", async () => {
    const { handle, clock } = await started({
      states: [
        { metadata: { pagesPrinted: 0 } },
        { metadata: { pagesPrinted: 1 } },
        { metadata: { pagesPrinted: 2 } },
        { response: { pages: 2 } },
      ],
    });
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const { kind, metadata } of handle.watch({ everyPoll: true })) {
        seen.push([kind, metadata?.pagesPrinted]);
      }
    })();
    await clock.advance(3000);
    await watching;
    expect(seen).toEqual([
      ["running", 0],
      ["running", 1],
      ["running", 2],
      ["succeeded", 2],
    ]);
  });

  it("fail with a code, or with an error and all of its details", async () => {
    const bare = await started({ states: [{ error: Code.ResourceExhausted }] });
    expect(await operationErrorOf(bare.handle.result())).toMatchObject({
      kind: "failed",
      code: Code.ResourceExhausted,
      rawMessage: "",
    });
    const value = { reason: "JAM", domain: "printers.example", metadata: { tray: "2" } };
    const error = new ConnectError("paper jam", Code.Aborted, undefined, [
      { desc: ErrorInfoSchema, value },
    ]);
    const whole = await started({ states: [{ error }] });
    const failure = await operationErrorOf(whole.handle.result());
    expect(failure).toMatchObject({ kind: "failed", code: Code.Aborted, rawMessage: "paper jam" });
    expect(standardDetailsOf(failure).errorInfo).toMatchObject(value);
  });

  it("lose the operation: NOT_FOUND from then on, for every method and in lists", async () => {
    const { handle, clock, client } = await started({ states: [{}, {}, { notFound: true }] });
    const gone = operationErrorOf(handle.result());
    await clock.advance(2000);
    expect(await gone).toMatchObject({ kind: "gone", code: Code.NotFound, polls: 2 });
    const { name } = handle;
    for (const call of [
      client.get(name),
      client.wait(name),
      client.cancel(name),
      client.delete(name),
    ]) {
      expect((await rejectionOf(call)).code).toBe(Code.NotFound);
    }
    for await (const operation of client.list()) expect.unreachable(operation.name);
  });

  it("hold payloads of unregistered types", async () => {
    const foreign = pack(StringValueSchema, { value: "?" });
    const { handle, clock } = await started({
      states: [{ metadata: foreign }, { metadata: { pagesPrinted: 1 }, response: foreign }],
    });
    expect(handle.snapshot.metadata).toBeUndefined();
    expect(handle.snapshot.metadataError).toBeInstanceOf(ConnectError);
    const error = operationErrorOf(handle.result());
    await clock.advance(1000);
    expect((await error).kind).toBe("unexpected-type");
    expect(handle.snapshot.metadata).toMatchObject({ pagesPrinted: 1 });
  });

  it("may be any Operation at all", async () => {
    const { handle } = await started({ states: [{ operation: { done: true } }] });
    expect(handle.name).toBe("operations/1");
    expect((await operationErrorOf(handle.result())).kind).toBe("malformed");
  });

  it.each<[title: string, states: PrintScript["states"], message: string]>([
    ["a negative time", [{ afterMs: -1 }], "states[0].afterMs must be at least 0, not -1"],
    ["no number", [{ afterMs: Number.NaN }], "states[0].afterMs must be at least 0, not NaN"],
    ["half a look", [{ afterPolls: 0.5 }], "states[0].afterPolls must be a whole number, not 0.5"],
    [
      "a time before that of the state above",
      [{ afterMs: 10 }, { afterMs: 9 }],
      "states[1].afterMs must be at least 10, not 9",
    ],
    [
      "a look before that of the state above",
      [{ afterPolls: 2 }, { afterPolls: 1 }],
      "states[1].afterPolls must be at least 2, not 1",
    ],
    [
      "nothing after a time",
      [{ afterMs: 10 }, { response: {} }],
      "states[1] must have afterPolls or afterMs, because the state before has afterMs",
    ],
    [
      "a loss at the start",
      [{}, { afterPolls: 0, notFound: true }],
      "states[1].notFound must be later than the start",
    ],
    [
      "two ends at once",
      [{ response: {}, notFound: true }],
      "states[0] has both response and notFound",
    ],
  ])("are refused at once: %s", (_, states, message) => {
    const { scripted } = createServer();
    expect(() => scripted.add(Print, { states })).toThrow(message);
    expect(() => scripted.handle(Print, { states })).toThrow(message);
  });
});

describe("the polls of a scripted operation", () => {
  it("fail as often as the script says, without advancing the states", async () => {
    const { handle, clock, scripted } = await started({
      polls: Array.from({ length: 3 }, () => ({ fails: Code.Unavailable })),
      states: [{ afterPolls: 1, response: { pages: 3 } }],
    });
    const result = handle.result();
    await clock.advance(4000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(scripted.calls.slice(1).map(({ state }) => state)).toEqual([
      "failed",
      "failed",
      "failed",
      "answered",
    ]);
  });

  it("flap by a rule", async () => {
    const { client, scripted } = createServer();
    const { name } = scripted.add(Print, {
      polls: ({ number }) => (number % 3 === 0 ? "answer" : { fails: Code.Unavailable }),
    });
    const codes: (Code | undefined)[] = [];
    for (let look = 0; look < 6; look += 1) {
      codes.push(
        await client.get(name).then(
          () => undefined,
          ({ code }: ConnectError) => code,
        ),
      );
    }
    const { Unavailable } = Code;
    expect(codes).toEqual([
      Unavailable,
      Unavailable,
      undefined,
      Unavailable,
      Unavailable,
      undefined,
    ]);
  });

  it("tell a rule their method, their number, and the time since the start", async () => {
    const asked: unknown[] = [];
    const { clock, client, scripted } = createServer();
    await clock.advance(77);
    const { name } = scripted.add(Print, {
      polls: (look) => {
        asked.push(look);
        return "early";
      },
    });
    await clock.advance(500);
    await client.get(name);
    await client.wait(name, 1000);
    expect(asked).toEqual([
      { method: "GetOperation", number: 1, elapsedMs: 500 },
      { method: "WaitOperation", number: 2, elapsedMs: 500 },
    ]);
  });

  it("carry the details of an error", async () => {
    const value = { reason: "QUOTA", domain: "printers.example" };
    const error = new ConnectError("slower", Code.ResourceExhausted, undefined, [
      { desc: ErrorInfoSchema, value },
    ]);
    const { client, scripted } = createServer();
    const { name } = scripted.add(Print, { polls: [{ fails: error }] });
    const thrown = await rejectionOf(client.get(name));
    expect(thrown).toMatchObject({ code: Code.ResourceExhausted, rawMessage: "slower" });
    expect(standardDetailsOf(thrown).errorInfo).toMatchObject(value);
  });

  it("hang until the client gives up, and leave nothing behind", async () => {
    const { client, scripted } = createServer();
    const { name } = scripted.add(Print, { polls: ["hang"] });
    const { signal, abort, listeners } = createCountedAbort();
    const look = rejectionOf(client.get(name, { signal }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(scripted.calls).toMatchObject([{ state: "open" }]);
    abort();
    expect((await look).code).toBe(Code.Canceled);
    await new Promise((resolve) => setImmediate(resolve));
    expect(scripted.calls).toMatchObject([{ state: "given-up" }]);
    expect(listeners()).toBe(0);
    // The next one is answered.
    expect(await client.get(name)).toMatchObject({ name });
  });

  it("take their time, and show what is true at the end of it", async () => {
    const { clock, client, scripted } = createServer();
    const { name } = scripted.add(Print, {
      polls: [{ delayMs: 5000 }],
      states: [{ afterMs: 3000, response: {} }],
    });
    let answered = false;
    const look = client.get(name).finally(() => {
      answered = true;
    });
    await clock.advance(4999);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect((await look).done).toBe(true);
    expect(clock.scheduled()).toBe(0);
  });

  it("may come to a replica that lags behind", async () => {
    const { clock, client, scripted } = createServer();
    const { name } = scripted.add(Print, {
      polls: ["answer", { lagMs: 2000 }, { lagMs: 60_000 }, "answer"],
      states: [{ metadata: { pagesPrinted: 1 } }, { afterMs: 3000, response: {} }],
    });
    await clock.advance(4000);
    const done: boolean[] = [];
    for (let look = 0; look < 4; look += 1) done.push((await client.get(name)).done);
    expect(done).toEqual([true, false, false, true]);
  });

  it.each([-1, Number.NaN])("are refused with a delay of %d", (delayMs) => {
    const { scripted } = createServer();
    expect(() => scripted.add(Print, { polls: ["answer", { delayMs }] })).toThrow(
      `polls[1].delayMs must be at least 0, not ${delayMs}`,
    );
    expect(() => scripted.add(Print, { polls: [{ lagMs: delayMs }] })).toThrow("polls[0].lagMs");
    expect(() => scripted.add(Print, { cancel: { delayMs } })).toThrow("cancel.delayMs");
  });
});

describe("WaitOperation of a scripted server", () => {
  it("is held until the operation is done", async () => {
    const server = await started({ states: [{ afterMs: 12_300, response: { pages: 3 } }] }, "auto");
    const result = server.handle.result();
    await server.clock.advance(12_300);
    expect(await result).toMatchObject({ pages: 3 });
    expect(timesOf(server, "WaitOperation")).toEqual([0]);
    expect(server.scripted.count("GetOperation")).toBe(0);
    expect(server.clock.scheduled()).toBe(0);
  });

  it("is answered OK at its timeout, with the latest state", async () => {
    const { clock, client, scripted } = createServer();
    const { name } = scripted.add(Print, {
      states: [{}, { afterMs: 500, metadata: { pagesPrinted: 1 } }],
    });
    let answered = false;
    const wait = client.wait(name, 1500).finally(() => {
      answered = true;
    });
    await clock.advance(1499);
    expect(answered).toBe(false);
    await clock.advance(1);
    const metadata = pack(PrintMetadataSchema, { pagesPrinted: 1 });
    expect(await wait).toMatchObject({ done: false, metadata });
  });

  it("is held for 25 s where it has no timeout", async () => {
    const { clock, rpc, scripted } = createServer();
    const { name } = scripted.add(Print);
    let answered = false;
    const wait = rpc.waitOperation({ name }).finally(() => {
      answered = true;
    });
    await clock.advance(24_999);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect((await wait).done).toBe(false);
  });

  it("is answered early where the script says so", async () => {
    const server = await started(
      { polls: () => "early", states: [{ afterPolls: 3, response: { pages: 3 } }] },
      "auto",
    );
    const result = server.handle.result();
    await server.clock.advance(10_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(timesOf(server, "WaitOperation")).toHaveLength(3);
  });

  it("is slow where the script says so, beyond its timeout", async () => {
    const { clock, client, scripted } = createServer();
    const { name } = scripted.add(Print, {
      polls: ({ method }) => (method === "WaitOperation" ? { delayMs: 5000 } : "answer"),
    });
    let answered = false;
    const wait = client.wait(name, 1000).finally(() => {
      answered = true;
    });
    expect(await client.get(name)).toMatchObject({ done: false });
    await clock.advance(4999);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect((await wait).done).toBe(false);
  });

  it("is UNIMPLEMENTED at a server without it", async () => {
    const { clock, printer, scripted } = createServer({ without: ["WaitOperation"] });
    scripted.handle(Print, { states: [{ afterPolls: 2, response: { pages: 3 } }] });
    const handle = await printer.print({});
    const result = handle.result();
    await clock.advance(2000);
    expect(await result).toMatchObject({ pages: 3 });
    expect([scripted.count("WaitOperation"), scripted.count("GetOperation")]).toEqual([1, 2]);
  });

  it("ends when another look brings the end on, and when the operation is deleted", async () => {
    const { client, clock, scripted } = createServer();
    const { name } = scripted.add(Print, { states: [{ afterPolls: 2, response: {} }] });
    const wait = client.wait(name, 60_000);
    await clock.advance(0);
    await client.get(name);
    expect((await wait).done).toBe(true);
    const other = scripted.add(Print);
    const missed = rejectionOf(client.wait(other.name, 60_000));
    await clock.advance(0);
    await client.delete(other.name);
    expect((await missed).code).toBe(Code.NotFound);
    expect(clock.scheduled()).toBe(0);
  });

  it("leaves no timer behind a client that goes away", async () => {
    const { client, clock, scripted } = createServer();
    const { name } = scripted.add(Print);
    const { signal, abort } = createCountedAbort();
    const wait = rejectionOf(client.wait(name, 30_000, { signal }));
    await clock.advance(0);
    expect(clock.scheduled()).toBe(1);
    abort();
    expect((await wait).code).toBe(Code.Canceled);
    await clock.advance(0);
    expect(clock.scheduled()).toBe(0);
    expect(scripted.calls).toMatchObject([{ state: "given-up" }]);
  });
});

describe("CancelOperation of a scripted server", () => {
  it("ends the operation with CANCELLED, and wakes who waits", async () => {
    const { handle, clock, scripted } = await started(
      { states: [{ metadata: { pagesPrinted: 1 } }] },
      "auto",
    );
    const outcome = handle.outcome();
    await clock.advance(1000);
    await handle.cancel();
    expect(await outcome).toMatchObject({ kind: "cancelled", metadata: { pagesPrinted: 1 } });
    expect(scripted.count("CancelOperation", handle.name)).toBe(1);
    expect(clock.scheduled()).toBe(0);
  });

  it("changes nothing if the script ignores it", async () => {
    const { handle, clock } = await started({
      cancel: "ignored",
      states: [{ afterMs: 5000, response: { pages: 3 } }],
    });
    const outcome = handle.cancelAndWait();
    await clock.advance(5000);
    expect(await outcome).toMatchObject({ kind: "succeeded", response: { pages: 3 } });
  });

  it("takes effect after its delay, from the first request on", async () => {
    const { handle, client, clock } = await started({ cancel: { delayMs: 2000 } });
    await handle.cancel();
    await clock.advance(1500);
    await handle.cancel();
    expect((await client.get(handle.name)).done).toBe(false);
    await clock.advance(500);
    expect(await client.get(handle.name)).toMatchObject({
      done: true,
      result: { case: "error", value: { code: Code.Canceled } },
    });
  });

  it("wakes who waits when its delay is over", async () => {
    const { client, clock, scripted } = createServer();
    const { name } = scripted.add(Print, { cancel: { delayMs: 2000 } });
    const answeredAt: number[] = [];
    const startMs = clock.nowMs();
    const wait = client.wait(name, 30_000).finally(() => answeredAt.push(clock.nowMs() - startMs));
    await clock.advance(1000);
    await client.cancel(name);
    await clock.advance(30_000);
    expect((await wait).result.case).toBe("error");
    expect(answeredAt).toEqual([3000]);
  });

  it("comes too late for an operation that ends within its delay", async () => {
    const { handle, client, clock } = await started({
      cancel: { delayMs: 2000 },
      states: [{ afterMs: 1000, response: { pages: 3 } }],
    });
    await handle.cancel();
    await clock.advance(10_000);
    // No client has polled in the meantime.
    expect((await client.get(handle.name)).result.case).toBe("response");
  });

  it("keeps the end that came by looks before it, and drops that of looks after it", async () => {
    const script: PrintScript = {
      cancel: { delayMs: 2000 },
      states: [{ afterPolls: 2, response: { pages: 3 } }],
    };
    const before = await started(script);
    await before.handle.cancel();
    await before.client.get(before.handle.name);
    await before.client.get(before.handle.name);
    await before.clock.advance(2000);
    const kept = await before.client.get(before.handle.name);
    expect(kept.result.case).toBe("response");
    const after = await started(script);
    await after.handle.cancel();
    await after.client.get(after.handle.name);
    await after.clock.advance(2000);
    for (let look = 0; look < 3; look += 1) {
      expect((await after.client.get(after.handle.name)).result.case).toBe("error");
    }
  });

  it("fails, or hangs, and leaves the operation as it is", async () => {
    const failing = await started({ cancel: { fails: Code.PermissionDenied } });
    expect((await rejectionOf(failing.handle.cancel())).code).toBe(Code.PermissionDenied);
    const hanging = await started({ cancel: "hang" });
    const signal = AbortSignal.abort();
    expect((await rejectionOf(hanging.client.cancel(hanging.handle.name, { signal }))).code).toBe(
      Code.Canceled,
    );
    for (const { client, handle } of [failing, hanging]) {
      expect((await client.get(handle.name)).done).toBe(false);
    }
  });

  it("does not change what is done", async () => {
    const { handle, client } = await started({ states: [{ response: { pages: 3 } }] });
    await client.cancel(handle.name);
    expect((await client.get(handle.name)).result.case).toBe("response");
  });

  it("of an operation that is lost later on does not bring it back", async () => {
    const { handle, client, clock } = await started({
      states: [{}, { afterMs: 5000, notFound: true }],
    });
    await handle.cancel();
    expect((await client.get(handle.name)).done).toBe(true);
    await clock.advance(5000);
    expect((await rejectionOf(client.get(handle.name))).code).toBe(Code.NotFound);
  });
});

describe("the starts of a scripted server", () => {
  it("go by one script after the other, and by the last one from then on", async () => {
    const { scripted, printer } = createServer();
    scripted.handle(Print, [
      { states: [{ response: { pages: 1 } }] },
      { fails: Code.FailedPrecondition },
      { states: [{ response: { pages: 2 } }] },
    ]);
    const first = await printer.print({});
    expect((await rejectionOf(printer.print({}))).code).toBe(Code.FailedPrecondition);
    const third = await printer.print({});
    const fourth = await printer.print({});
    const results = await Promise.all([first, third, fourth].map((handle) => handle.result()));
    expect(results.map(({ pages }) => pages)).toEqual([1, 2, 2]);
    expect(new Set([first.name, third.name, fourth.name]).size).toBe(3);
  });

  it("that flap are tried again with the same request id", async () => {
    const { scripted, printer, clock } = createServer();
    scripted.handle(Print, [{ fails: Code.Unavailable }, { states: [{ response: {} }] }]);
    const start = printer.print({});
    await clock.advance(1000);
    const { name } = await start;
    expect(scripted.calls).toMatchObject([
      { method: "Print", name: "", state: "failed" },
      { method: "Print", name, state: "answered" },
    ]);
    const ids = scripted.calls.map(({ request }) =>
      "requestId" in request ? request.requestId : "",
    );
    expect(ids[0]).not.toBe("");
    expect(ids[0]).toBe(ids[1]);
  });

  it("go by a rule over the request", async () => {
    const { scripted, printer } = createServer();
    scripted.handle(Print, ({ pages, parent }) =>
      pages > 100
        ? { fails: Code.InvalidArgument }
        : { name: `${parent}/operations/p${pages}`, states: [{ response: { pages } }] },
    );
    const handle = await printer.print({ parent: "printers/7", pages: 5 });
    expect(handle.name).toBe("printers/7/operations/p5");
    expect(await handle.result()).toMatchObject({ pages: 5 });
    expect((await rejectionOf(printer.print({ pages: 101 }))).code).toBe(Code.InvalidArgument);
  });

  it("hang until the client gives up", async () => {
    const { scripted, printer } = createServer();
    scripted.handle(Print, ["hang"]);
    const { signal, abort } = createCountedAbort();
    const start = rejectionOf(printer.print({}, { signal }));
    await new Promise((resolve) => setImmediate(resolve));
    abort();
    expect((await start).code).toBe(Code.Canceled);
  });

  it("may be of several methods, added while calls are under way", async () => {
    const { scripted, printer, client, clock } = createServer();
    scripted.handle(Print, { states: [{ afterMs: 1000, response: { pages: 3 } }] });
    const handle = await printer.print({});
    const wait = client.wait(handle.name);
    scripted.handle(Clean, { states: [{ response: {} }] });
    const cleaner = createLongRunningClient({ clean: Clean }, scripted.transport);
    expect(await (await cleaner.clean({})).outcome()).toMatchObject({ kind: "succeeded" });
    await clock.advance(1000);
    expect((await wait).done).toBe(true);
  });

  it("refuse a payload of another type, and an empty list", () => {
    const { scripted } = createServer();
    const response = EmptySchema.typeName;
    expect(() => scripted.handle(Print, JSON.parse("[]"))).toThrow(RangeError);
    expect(() =>
      scripted.add(Print, { states: [{ response: JSON.parse(`{"$typeName":"${response}"}`) }] }),
    ).toThrow(TypeError);
  });
});

describe("createScriptedOperations", () => {
  it("has operations without a start call, for clients that resume by name", async () => {
    const { scripted, client } = createServer();
    scripted.add(Print, { name: "jobs/9/operations/x", states: [{ response: { pages: 9 } }] });
    const handle = await client.resume(Print, "jobs/9/operations/x");
    expect(await handle.result()).toMatchObject({ pages: 9 });
  });

  it("counts calls by method and by operation", async () => {
    const { scripted, client } = createServer();
    const [one, two] = [scripted.add(Print), scripted.add(Print)];
    for (const { name } of [one, one, two]) await client.get(name);
    expect(scripted.count("GetOperation")).toBe(3);
    expect(scripted.count("GetOperation", one.name)).toBe(2);
    expect(scripted.count("WaitOperation")).toBe(0);
    expect(scripted.calls[2]?.header.get("x-goog-request-params")).toBe(
      `name=${encodeURIComponent(two.name)}`,
    );
  });

  it("lists a parent's operations page by page, newest first, without the deleted ones", async () => {
    const { scripted, client } = createServer();
    const names = Array.from({ length: 7 }, () => scripted.add(Print).name);
    scripted.add(Print, { name: "jobs/9/operations/x" });
    await client.delete(names[3] ?? "");
    const listed: string[] = [];
    for await (const { name } of client.list({ pageSize: 3 })) listed.push(name);
    expect(listed).toEqual(names.toReversed().filter((name) => name !== names[3]));
    expect(scripted.count("ListOperations")).toBe(3);
    expect((await rejectionOf(client.get(names[3] ?? ""))).code).toBe(Code.NotFound);
  });

  it("begins an operation anew under the name of another one, as the latest of a list", async () => {
    const { scripted, client } = createServer();
    const { name } = scripted.add(Print, { states: [{ response: {} }] });
    const other = scripted.add(Print);
    scripted.add(Print, { name });
    expect((await client.get(name)).done).toBe(false);
    const listed: string[] = [];
    for await (const operation of client.list()) listed.push(operation.name);
    expect(listed).toEqual([name, other.name]);
  });

  it("supports clients that watch many operations by its lists", async () => {
    const { scripted, printer, clock } = createServer();
    scripted.handle(Print, { states: [{ afterPolls: 2, response: { pages: 3 } }] });
    const batch = await Promise.all([1, 2, 3].map(() => printer.print({})));
    const kinds: string[] = [];
    const watching = (async () => {
      for await (const { snapshot } of watchAll(batch)) {
        if (snapshot !== undefined) kinds.push(snapshot.kind);
      }
    })();
    await clock.advance(10_000);
    await watching;
    expect(kinds.filter((kind) => kind === "succeeded")).toHaveLength(3);
    expect(scripted.count("ListOperations")).toBe(2);
  });

  it.each([
    ["a filter", { filter: "done = true" }],
    ["a page token of elsewhere", { pageToken: "x" }],
    ["a negative page size", { pageSize: -1 }],
  ])("refuses a list with %s", async (_, request) => {
    const { rpc } = createServer();
    expect((await rejectionOf(rpc.listOperations(request))).code).toBe(Code.InvalidArgument);
  });

  it.each([
    "ListOperations",
    "GetOperation",
    "DeleteOperation",
    "CancelOperation",
    "WaitOperation",
  ] as const)("can do without %s", async (method) => {
    const { scripted, rpc } = createServer({ without: [method] });
    const { name } = scripted.add(Print);
    const calls = {
      ListOperations: () => rpc.listOperations({}),
      GetOperation: () => rpc.getOperation({ name }),
      DeleteOperation: () => rpc.deleteOperation({ name }),
      CancelOperation: () => rpc.cancelOperation({ name }),
      WaitOperation: () => rpc.waitOperation({ name }),
    };
    expect(await rejectionOf(calls[method]())).toMatchObject({
      code: Code.Unimplemented,
      rawMessage: "",
    });
    expect(scripted.count(method)).toBe(1);
  });

  it("refuses an invalid operation name, and does not find an unknown operation", async () => {
    const { client } = createServer();
    expect((await rejectionOf(client.get("elsewhere"))).code).toBe(Code.InvalidArgument);
    expect((await rejectionOf(client.get("operations/99"))).code).toBe(Code.NotFound);
  });

  it("serves over sockets with the machine's clock", async () => {
    const scripted = createScriptedOperations();
    const print = scripted.handle(Print, {
      states: [{ metadata: { pagesPrinted: 1 } }, { afterMs: 20, response: { pages: 3 } }],
    });
    const server = await startServer({
      routes(router) {
        router.service(Operations, scripted.service);
        router.service(PrintService, { print });
      },
    });
    try {
      const transport = createGrpcTransport({ baseUrl: server.baseUrl });
      const printer = createLongRunningClient({ print: Print }, transport);
      const handle = await printer.print({});
      expect(await handle.result()).toMatchObject({ pages: 3 });
    } finally {
      await server.close();
    }
  });
});
