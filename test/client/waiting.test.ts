import { create, isMessage } from "@bufbuild/protobuf";
import { AnySchema, durationMs, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import { pack } from "../../src/any/index.js";
import {
  createBackoff,
  createLongRunningClient,
  OperationError,
  type OperationHandle,
} from "../../src/index.js";
import {
  ErrorInfoSchema,
  RetryInfoSchema,
  StatusSchema,
  WaitOperationRequestSchema,
} from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import type { PrintMetadata, PrintResponse } from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import {
  createScriptedServer,
  failed,
  fault,
  running,
  type Script,
  type ScriptedServer,
  scriptedName,
  succeeded,
} from "../support/scripted-server.js";

type PrintHandle = OperationHandle<PrintResponse, PrintMetadata>;

/** A scripted server whose first answer a handle has taken; times count from there. */
async function resumed(script: Script): Promise<ScriptedServer & { handle: PrintHandle }> {
  const server = createScriptedServer(script);
  const handle = await server.client.resume(Print, scriptedName);
  server.forgetLooks();
  return { ...server, handle };
}

/** The OperationError that a call rejects with. */
async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

/** How long the server was asked to hold each of these WaitOperation calls, in milliseconds. */
function timeoutsMs(looks: ReturnType<ScriptedServer["looks"]>): (number | undefined)[] {
  return looks.map(({ call: { request } }) => {
    assert(isMessage(request, WaitOperationRequestSchema));
    return request.timeout && durationMs(request.timeout);
  });
}

const unavailable = (count: number) => Array.from({ length: count }, () => fault(Code.Unavailable));

describe("waiting by GetOperation", () => {
  it("client 1: a done operation costs no poll and no timer", async () => {
    const { handle, looks, clock } = await resumed({ get: [succeeded(3)] });
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect(looks()).toEqual([]);
    expect(clock.scheduled()).toBe(0);
  });

  it("client 2: polls at 1000 ms, then by factor 1.5, up to 20 s", async () => {
    const { handle, clock, getsAt } = await resumed({ options: { mode: "poll" } });
    const result = rejectionOf(handle.result({ timeoutMs: 120_000 }));
    await clock.advance(60_000);
    const expected = [1000, 2500, 4750, 8125, 13_188, 20_781, 32_172, 49_258];
    expect(getsAt()).toHaveLength(expected.length);
    for (const [at, ms] of expected.entries()) {
      expect(Math.abs((getsAt()[at] ?? 0) - ms)).toBeLessThanOrEqual(1);
    }
    await clock.advance(60_000);
    const gaps = getsAt().map((at, index) => at - (getsAt()[index - 1] ?? 0));
    expect(gaps.slice(8, 11)).toEqual([20_000, 20_000, 20_000]);
    await result;
  });

  it("client 3: jitter shortens a delay by at most a fifth", () => {
    const policy = createBackoff();
    const delays = Array.from({ length: 10_000 }, () => policy.delayMs(1));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(800);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1000);
    expect(new Set(delays).size).toBeGreaterThan(100);
  });

  it("client 4: tolerates nine consecutive failed polls", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), ...unavailable(9), succeeded(3)],
      options: { mode: "poll" },
    });
    const result = handle.result();
    await clock.advance(10 * 60_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(getsAt()).toHaveLength(10);
  });

  it("client 4: ends the wait after ten consecutive failed polls; the handle stays usable", async () => {
    const { handle, clock } = await resumed({
      get: [running(0), ...unavailable(10), succeeded(3)],
      options: { mode: "poll" },
    });
    const result = operationErrorOf(handle.result());
    await clock.advance(10 * 60_000);
    const error = await result;
    expect(error).toMatchObject({
      kind: "poll",
      code: Code.Unavailable,
      consecutiveFailures: 10,
      polls: 10,
      operationName: scriptedName,
      cause: { code: Code.Unavailable },
      lastPollError: { code: Code.Unavailable },
    });
    expect(handle.snapshot.kind).toBe("running");
    // The handle is as good as ever.
    const again = handle.result();
    await clock.advance(1000);
    expect(await again).toMatchObject({ pages: 3 });
  });

  it("client 5: a successful poll resets the count of failures", async () => {
    const { handle, clock } = await resumed({
      get: [running(0), ...unavailable(6), running(1), ...unavailable(6), succeeded(3)],
      options: { mode: "poll" },
    });
    const result = handle.result();
    await clock.advance(20 * 60_000);
    expect(await result).toMatchObject({ pages: 3 });
  });

  it("client 6: a permanent error ends the wait at the first poll", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), fault(Code.PermissionDenied)],
      options: { mode: "poll" },
    });
    const result = operationErrorOf(handle.result());
    await clock.advance(60_000);
    expect(await result).toMatchObject({ kind: "poll", code: Code.PermissionDenied, polls: 1 });
    expect(getsAt()).toEqual([1000]);
  });

  it("gives up a poll without a response at its own time limit", async () => {
    const hanging = createScriptedServer({
      polls: ({ number }) => (number === 1 ? "answer" : "hang"),
      options: { mode: "poll", maxConsecutiveFailures: 1 },
    });
    const handle = await hanging.client.resume(Print, scriptedName);
    const result = operationErrorOf(handle.result());
    await hanging.clock.advance(10_999);
    expect(hanging.clock.scheduled()).toBe(1);
    await hanging.clock.advance(1);
    expect(await result).toMatchObject({ kind: "poll", code: Code.DeadlineExceeded });
    expect(hanging.clock.scheduled()).toBe(0);
  });
});

describe("a poll request", () => {
  it("client 7: has its own routing header and none of the start's headers", async () => {
    const { clock, transport } = createPrintServer(() => new Promise(() => undefined));
    const headers: Headers[] = [];
    const timeouts: (number | undefined)[] = [];
    const recorded = createLongRunningClient(
      { print: Print },
      {
        ...transport,
        unary(method, signal, timeoutMs, header, ...rest) {
          if (method.name === "GetOperation") {
            headers.push(new Headers(header));
            timeouts.push(timeoutMs);
          }
          return transport.unary(method, signal, timeoutMs, header, ...rest);
        },
      },
      { clock, mode: "poll", poll: { jitter: 0, multiplier: 1 } },
    );
    const handle = await recorded.print(
      { parent: "printers/7" },
      {
        timeoutMs: 5000,
        headers: { "x-goog-request-params": "parent=p", "x-start-only": "1" },
      },
    );
    const result = rejectionOf(handle.result({ timeoutMs: 50_500 }));
    await clock.advance(50_500);
    await result;
    expect(headers).toHaveLength(51);
    for (const header of headers) {
      expect(header.get("x-goog-request-params")).toBe(`name=${encodeURIComponent(handle.name)}`);
      expect(header.get("x-start-only")).toBeNull();
    }
    // The last one follows the wait's own limit.
    expect(timeouts.pop()).toBe(1000);
    expect(new Set(timeouts)).toEqual(new Set([10_000]));
  });

  it("has whole milliseconds as its timeout, for gRPC's header", async () => {
    const { handle, clock, looks } = await resumed({ hasWait: true });
    const controller = new AbortController();
    const poll = { initialDelayMs: 75, jitter: 0 };
    const states = handle.watch({ poll, signal: controller.signal })[Symbol.asyncIterator]();
    await states.next();
    const next = rejectionOf(states.next());
    await clock.advance(75 + 113 + 169);
    expect(timeoutsMs(looks())).toEqual([75, 113, 169, 254]);
    controller.abort();
    await next;
  });
});

describe("the final state", () => {
  it("client 8: a failure has the Status's code, message and details of any type", async () => {
    const unknown = create(AnySchema, { typeUrl: "x/elsewhere.v1.T", value: Uint8Array.of(9) });
    const details = [pack(ErrorInfoSchema, { reason: "NO_PAPER" }), unknown];
    const { handle } = await resumed({
      get: [
        anOperation({
          ...running(2),
          done: true,
          result: {
            case: "error",
            value: create(StatusSchema, { code: 9, message: "m", details }),
          },
        }),
      ],
    });
    const error = await operationErrorOf(handle.result());
    expect(error).toMatchObject({
      kind: "failed",
      code: Code.FailedPrecondition,
      rawMessage: "m",
      operationName: scriptedName,
      snapshot: { kind: "failed", metadata: { pagesPrinted: 2 } },
    });
    expect(error.findDetails(ErrorInfoSchema)).toHaveLength(1);
    expect(error.details[1]).toMatchObject({ type: "elsewhere.v1.T", value: Uint8Array.of(9) });
  });

  it("client 9: a cancelled operation is not an aborted wait", async () => {
    const { handle } = await resumed({ get: [failed(Code.Canceled)] });
    expect((await operationErrorOf(handle.result())).kind).toBe("cancelled");
  });

  it("client 10: done without a result is malformed", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), anOperation({ done: true })],
    });
    const result = operationErrorOf(handle.result());
    await clock.advance(60_000);
    expect((await result).kind).toBe("malformed");
    expect(getsAt()).toEqual([1000]);
  });

  it("client 10: done without a result is an empty response with onMissingResult empty", async () => {
    const { handle } = await resumed({
      get: [anOperation({ done: true })],
      options: { onMissingResult: "empty" },
    });
    expect(await handle.result()).toMatchObject({ pages: 0 });
  });

  it("client 11: refuses a response of another type and names both types", async () => {
    const result = { case: "response" as const, value: pack(EmptySchema, {}) };
    const { handle } = await resumed({ get: [anOperation({ done: true, result })] });
    const error = await operationErrorOf(handle.result());
    expect(error.kind).toBe("unexpected-type");
    expect(standardDetailsOf(error).errorInfo?.metadata).toEqual({
      expected: "printing.v1.PrintResponse",
      typeUrl: "type.googleapis.com/google.protobuf.Empty",
    });
  });

  it("client 12: metadata of another type does not hide the response", async () => {
    const metadata = create(AnySchema, { typeUrl: "x/elsewhere.v1.T", value: Uint8Array.of(9) });
    const { handle } = await resumed({ get: [anOperation({ ...succeeded(3), metadata })] });
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect(handle.snapshot).toMatchObject({
      metadata: undefined,
      metadataError: { code: Code.Internal },
      operation: { metadata },
    });
  });

  it("settles every time from memory, including a failure", async () => {
    const { handle, looks } = await resumed({ get: [failed(Code.Aborted, "jam")] });
    for (let count = 0; count < 3; count += 1) {
      expect(await operationErrorOf(handle.result())).toMatchObject({ rawMessage: "jam" });
      expect((await handle.outcome()).kind).toBe("failed");
    }
    expect(looks()).toEqual([]);
  });
});

describe("limits of a wait", () => {
  it("client 13: polls once more at its timeout and cancels nothing", async () => {
    const { handle, clock, getsAt, cancels } = await resumed({ options: { mode: "poll" } });
    const result = operationErrorOf(handle.result({ timeoutMs: 10_000 }));
    await clock.advance(10_000);
    const error = await result;
    expect(error).toMatchObject({
      kind: "timeout",
      code: Code.DeadlineExceeded,
      polls: 5,
      elapsedMs: 10_000,
      snapshot: { kind: "running" },
    });
    expect(error.rawMessage).toBe(
      `operation "${scriptedName}" is not done after 10000 ms (5 polls)`,
    );
    expect(getsAt()).toEqual([1000, 2500, 4750, 8125, 10_000]);
    expect(cancels()).toBe(0);
    expect(clock.scheduled()).toBe(0);
  });

  it("client 13: resolves with the final state of the last poll", async () => {
    const { handle, clock } = await resumed({
      get: [running(0), running(0), succeeded(3)],
      options: { mode: "poll" },
    });
    const result = handle.result({ timeoutMs: 2000 });
    await clock.advance(2000);
    expect(await result).toMatchObject({ pages: 3 });
  });

  it("requests the cancellation at the timeout with onTimeout cancel", async () => {
    const { handle, clock, cancels } = await resumed({});
    const result = operationErrorOf(handle.result({ timeoutMs: 2000, onTimeout: "cancel" }));
    await clock.advance(2000);
    expect((await result).kind).toBe("timeout");
    expect(cancels()).toBe(1);
  });

  it("ends after stallMs without a change", async () => {
    const { handle, clock } = await resumed({
      get: [running(0), running(1), running(1)],
      options: { mode: "poll", poll: { jitter: 0, multiplier: 1 } },
    });
    const result = operationErrorOf(handle.result({ stallMs: 5500 }));
    // The change at 1000 ms is the last one.
    await clock.advance(6499);
    expect(clock.scheduled()).toBeGreaterThan(0);
    await clock.advance(1);
    const error = await result;
    expect(error).toMatchObject({ kind: "timeout", elapsedMs: 6500 });
    expect(error.rawMessage).toContain("has not changed for 5500 ms");
    expect(clock.scheduled()).toBe(0);
  });

  it("client 15: an aborted signal costs no poll", async () => {
    const { handle, looks } = await resumed({});
    const reason = new Error("page was closed");
    const error = await operationErrorOf(handle.result({ signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ kind: "aborted", code: Code.Canceled, cause: reason });
    expect(looks()).toEqual([]);
  });

  it("client 16: an abort ends the wait at once; the handle stays usable", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), running(0), succeeded(3)],
      options: { mode: "poll" },
    });
    const controller = new AbortController();
    const result = operationErrorOf(handle.result({ signal: controller.signal }));
    await clock.advance(1500);
    controller.abort();
    expect(await result).toMatchObject({ kind: "aborted", elapsedMs: 1500 });
    expect(clock.scheduled()).toBe(0);
    await clock.advance(60_000);
    expect(getsAt()).toEqual([1000]);
    const again = handle.result();
    await clock.advance(1000);
    expect(await again).toMatchObject({ pages: 3 });
  });

  it("an abort during a WaitOperation call ends that call", async () => {
    const { handle, clock, looks } = await resumed({ hasWait: true, polls: ["answer", "hang"] });
    const controller = new AbortController();
    const result = operationErrorOf(handle.result({ signal: controller.signal }));
    await clock.advance(10);
    controller.abort();
    expect((await result).kind).toBe("aborted");
    await clock.advance(0);
    expect(looks().map(({ method, call }) => [method, call.state])).toEqual([
      ["WaitOperation", "given-up"],
    ]);
    expect(clock.scheduled()).toBe(0);
  });

  it.each([
    ["timeoutMs", { timeoutMs: -1 }],
    ["stallMs", { stallMs: Number.NaN }],
    ["timeoutMs", { timeoutMs: Number.POSITIVE_INFINITY }],
    ["initialDelayMs", { poll: { initialDelayMs: 0 } }],
    ["initialDelayMs", { poll: { initialDelayMs: Number.POSITIVE_INFINITY } }],
    ["maxDelayMs", { poll: { initialDelayMs: 10, maxDelayMs: 5 } }],
    ["multiplier", { poll: { multiplier: 0.5 } }],
    ["jitter", { poll: { jitter: 1.1 } }],
  ])("throws a RangeError with the name of an invalid %s", async (name, options) => {
    const { handle, clock } = await resumed({});
    await expect(handle.result(options)).rejects.toThrow(name);
    expect(() => handle.watch(options)).toThrow(name);
    expect(clock.scheduled()).toBe(0);
  });

  it("uses the caller's policy; an exception of a policy ends its own wait alone", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), fault(Code.DataLoss), fault(Code.DataLoss), succeeded(3)],
      options: { mode: "poll" },
    });
    const poll = { delayMs: (count: number) => count * 10, isTransient: () => true };
    const result = handle.result({ poll });
    const broken = handle.result({
      poll: {
        ...poll,
        delayMs: () => {
          throw new Error("a bug");
        },
      },
    });
    await expect(broken).rejects.toThrow("a bug");
    await clock.advance(60);
    expect(await result).toMatchObject({ pages: 3 });
    expect(getsAt()).toEqual([10, 30, 60]);
  });
});

describe("concurrent waits", () => {
  it("client 17: an abort of one wait leaves the other, over one loop", async () => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), running(0), running(0), succeeded(3)],
      options: { mode: "poll" },
    });
    const controller = new AbortController();
    const one = operationErrorOf(handle.result({ signal: controller.signal }));
    const other = handle.result();
    await clock.advance(1500);
    controller.abort();
    expect((await one).kind).toBe("aborted");
    await clock.advance(60_000);
    expect(await other).toMatchObject({ pages: 3 });
    // As many looks as one alone would have made.
    expect(getsAt()).toEqual([1000, 2500, 4750]);
    for (let count = 0; count < 3; count += 1) {
      expect(await handle.result()).toMatchObject({ pages: 3 });
    }
    expect(getsAt()).toHaveLength(3);
  });

  it("two handles of one name share the loop", async () => {
    const { handle, client, clock, getsAt } = await resumed({
      get: [running(0), running(0), running(0), succeeded(3)],
      options: { mode: "poll" },
    });
    const twin = await client.resume(Print, scriptedName);
    const results = [handle.result(), twin.result()];
    await clock.advance(60_000);
    expect(await Promise.all(results)).toMatchObject([{ pages: 3 }, { pages: 3 }]);
    expect(getsAt()).toEqual([0, 1000, 2500]);
  });

  it("have their own limits", async () => {
    const { handle, clock } = await resumed({
      get: [...Array.from({ length: 6 }, () => running(0)), succeeded(3)] as [
        ReturnType<typeof running>,
      ],
      options: { mode: "poll" },
    });
    const short = operationErrorOf(handle.result({ timeoutMs: 3000 }));
    const long = handle.result({ timeoutMs: 60_000 });
    await clock.advance(60_000);
    expect((await short).elapsedMs).toBe(3000);
    expect(await long).toMatchObject({ pages: 3 });
    expect(clock.scheduled()).toBe(0);
  });

  it("receive the same frozen snapshot objects", async () => {
    const { handle, clock } = await resumed({ get: [running(0), running(1), succeeded(3)] });
    const seen: unknown[][] = [[], []];
    const walks = seen.map(async (states) => {
      for await (const state of handle) states.push(state);
    });
    await clock.advance(60_000);
    await Promise.all(walks);
    expect(seen[0]).toHaveLength(3);
    for (const [at, state] of (seen[0] ?? []).entries()) {
      expect(seen[1]?.[at]).toBe(state);
      expect(Object.isFrozen(state)).toBe(true);
    }
  });
});

describe("iterating", () => {
  const script: Script = {
    get: [running(1), running(1), running(2), succeeded(9, 3)],
    options: { mode: "poll" },
  };

  it("client 18: yields each state once, and the final one always", async () => {
    const { handle, clock } = await resumed(script);
    const seen: (number | undefined)[] = [];
    const walk = (async () => {
      for await (const { metadata } of handle) seen.push(metadata?.pagesPrinted);
    })();
    await clock.advance(60_000);
    await walk;
    expect(seen).toEqual([1, 2, 3]);
  });

  it("client 18: yields the state of every poll with everyPoll", async () => {
    const { handle, clock } = await resumed(script);
    const seen: (number | undefined)[] = [];
    const walk = (async () => {
      for await (const { metadata } of handle.watch({ everyPoll: true })) {
        seen.push(metadata?.pagesPrinted);
      }
    })();
    await clock.advance(60_000);
    await walk;
    expect(seen).toEqual([1, 1, 2, 3]);
  });

  it("client 18: a break stops the polling and cancels nothing", async () => {
    const { handle, clock, looks, cancels } = await resumed(script);
    for await (const { metadata } of handle) {
      expect(metadata?.pagesPrinted).toBe(1);
      break;
    }
    expect(clock.scheduled()).toBe(0);
    await clock.advance(60_000);
    expect(looks()).toEqual([]);
    expect(cancels()).toBe(0);
  });

  it("a slow consumer gets the latest state and the final one", async () => {
    const { handle, clock } = await resumed(script);
    const states = handle[Symbol.asyncIterator]();
    await states.next();
    const second = states.next();
    await clock.advance(60_000);
    expect((await second).value).toMatchObject({ kind: "running" });
    expect((await states.next()).value).toMatchObject({ kind: "succeeded" });
    expect((await states.next()).done).toBe(true);
  });

  it("yields a failure as the last state, and does not throw it", async () => {
    const { handle } = await resumed({ get: [failed(Code.Aborted, "jam")] });
    const kinds: string[] = [];
    for await (const { kind } of handle) kinds.push(kind);
    expect(kinds).toEqual(["failed"]);
  });

  it("throws the error that ends the wait", async () => {
    const { handle, clock } = await resumed({ get: [running(0), fault(Code.PermissionDenied)] });
    const walk = operationErrorOf(
      (async () => {
        for await (const state of handle) expect(state.kind).toBe("running");
      })(),
    );
    await clock.advance(60_000);
    expect((await walk).kind).toBe("poll");
  });

  it("client 19: an exception of a listener is reported once and ends no wait", async () => {
    const { handle, clock } = await resumed(script);
    const reported: unknown[] = [];
    const bug = new Error("a bug");
    let calls = 0;
    const result = handle.result({
      onProgress() {
        calls += 1;
        throw bug;
      },
      onListenerError: (error) => reported.push(error),
    });
    await clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 9 });
    expect(reported).toEqual([bug]);
    expect(calls).toBe(2);
  });
});

describe("waiting by WaitOperation", () => {
  it("client 20: one call of 25 s resolves as soon as the operation is done", async () => {
    const { handle, clock, looks } = await resumed({
      hasWait: true,
      states: [{}, { afterMs: 12_300, response: { pages: 3 } }],
    });
    const result = handle.result();
    await clock.advance(12_300);
    expect(await result).toMatchObject({ pages: 3 });
    expect(looks().map(({ method, atMs }) => [method, atMs])).toEqual([["WaitOperation", 0]]);
    expect(timeoutsMs(looks())).toEqual([25_000]);
    expect(clock.scheduled()).toBe(0);
  });

  it("client 20: UNIMPLEMENTED makes all waits of the client poll by GetOperation", async () => {
    const { handle, client, clock, looks } = await resumed({
      get: [running(0), running(0), running(0), succeeded(3), running(0), succeeded(4)],
    });
    const result = handle.result();
    await clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(looks().map(({ method, atMs }) => [method, atMs])).toEqual([
      ["WaitOperation", 0],
      ["GetOperation", 1000],
      ["GetOperation", 2500],
      ["GetOperation", 4750],
    ]);
    const other = (await client.resume(Print, scriptedName)).result();
    await clock.advance(60_000);
    expect(await other).toMatchObject({ pages: 4 });
    expect(looks().filter(({ method }) => method === "WaitOperation")).toHaveLength(1);
  });

  it("client 20: calls a server that responds early at the poll interval", async () => {
    const { handle, clock, looks } = await resumed({ hasWait: true, polls: () => "early" });
    const result = rejectionOf(handle.result({ timeoutMs: 9000 }));
    await clock.advance(9000);
    await result;
    const waits = looks()
      .filter(({ method }) => method === "WaitOperation")
      .map(({ atMs }) => atMs);
    expect(waits).toEqual([0, 1500, 3750, 7125]);
  });

  it("shows progress by calls as long as the poll interval", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, clock } = createPrintServer((operation) => {
      operation.report({ pagesPrinted: 1 });
      return gate.promise;
    });
    const seen: string[] = [];
    const handle = await printer.print({});
    const walk = (async () => {
      for await (const { kind, metadata } of handle) seen.push(`${kind} ${metadata?.pagesPrinted}`);
    })();
    await clock.advance(1000);
    expect(seen).toEqual(["running undefined", "running 1"]);
    gate.resolve({ pages: 1 });
    await walk;
    expect(seen.at(-1)).toBe("succeeded 1");
    expect(clock.scheduled()).toBe(0);
  });

  it("a follower that wants progress shortens a held call", async () => {
    const { handle, clock, looks } = await resumed({
      hasWait: true,
      get: [running(0), running(7)],
    });
    const end = rejectionOf(handle.result({ timeoutMs: 4000 }));
    await clock.advance(2000);
    const seen: (number | undefined)[] = [];
    const walk = rejectionOf(
      (async () => {
        for await (const { metadata } of handle.watch({ timeoutMs: 1500 })) {
          seen.push(metadata?.pagesPrinted);
        }
      })(),
    );
    await clock.advance(1000);
    expect(seen).toEqual([0, 7]);
    expect(
      looks()
        .map(({ method, atMs }) => [method, atMs])
        .slice(0, 2),
    ).toEqual([
      ["WaitOperation", 0],
      ["WaitOperation", 2000],
    ]);
    await clock.advance(10_000);
    await Promise.all([walk, end]);
  });

  it("tolerates failed calls at the poll interval", async () => {
    const { handle, clock, looks } = await resumed({
      hasWait: true,
      get: [running(0), ...unavailable(2), succeeded(3)],
    });
    const result = handle.result();
    await clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(looks().map(({ atMs }) => atMs)).toEqual([0, 1500, 3750]);
  });
});

describe("a wait with retry delays, cancellations and NOT_FOUND", () => {
  it.each([
    [
      "RetryInfo",
      new ConnectError("", Code.ResourceExhausted, undefined, [
        { desc: RetryInfoSchema, value: { retryDelay: { seconds: 7n } } },
      ]),
    ],
    ["Retry-After", new ConnectError("", Code.ResourceExhausted, { "retry-after": "7" })],
  ])("client 21: a retry delay by %s holds for one poll", async (_, hint) => {
    const { handle, clock, getsAt } = await resumed({
      get: [running(0), hint, running(0), succeeded(3)],
      options: { mode: "poll" },
    });
    const result = handle.result();
    await clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 3 });
    // 1000, then the hint, then the third delay of the schedule.
    expect(getsAt()).toEqual([1000, 8000, 10_250]);
  });

  it("client 22: cancelAndWait does not abort the poll in progress", async () => {
    const { handle, clock, cancels, looks } = await resumed({
      hasWait: true,
      cancel: "ignored",
      states: [{}, { afterMs: 300, response: { pages: 3 } }],
    });
    const waiting = handle.result();
    await clock.advance(100);
    const outcome = handle.cancelAndWait();
    await clock.advance(100);
    expect(cancels()).toBe(1);
    await clock.advance(100);
    expect(await outcome).toMatchObject({ kind: "succeeded", response: { pages: 3 } });
    expect(await waiting).toMatchObject({ pages: 3 });
    expect(looks().map(({ method, call }) => [method, call.state])).toEqual([
      ["WaitOperation", "answered"],
    ]);
  });

  it("client 22: cancelAndWait resolves with a cancellation", async () => {
    const { handle, clock } = await resumed({ get: [running(0), failed(Code.Canceled)] });
    const outcome = handle.cancelAndWait();
    await clock.advance(1000);
    expect((await outcome).kind).toBe("cancelled");
  });

  it("client 22: cancelAndWait rejects with UNIMPLEMENTED; other waits go on", async () => {
    const { handle, clock } = await resumed({
      get: [running(0), running(0), succeeded(3)],
      cancel: { fails: Code.Unimplemented },
    });
    const waiting = handle.result();
    const error = await rejectionOf(handle.cancelAndWait());
    expect(error.code).toBe(Code.Unimplemented);
    await clock.advance(1000);
    expect(await waiting).toMatchObject({ pages: 3 });
  });

  it("client 23: tolerates NOT_FOUND in the grace after a start", async () => {
    const lagging = createScriptedServer({
      get: [fault(Code.NotFound), running(0), succeeded(3)],
    });
    const handle = await startedOn(lagging);
    const result = handle.result();
    await lagging.clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(lagging.getsAt()).toEqual([1000, 2500, 4750]);
  });

  it("client 23: NOT_FOUND after the grace ends the wait with kind gone", async () => {
    const lost = createScriptedServer({ get: [fault(Code.NotFound)] });
    const handle = await startedOn(lost);
    const result = operationErrorOf(handle.result());
    await lost.clock.advance(60_000);
    expect(await result).toMatchObject({ kind: "gone", code: Code.NotFound, elapsedMs: 8125 });
  });

  it("client 23: NOT_FOUND after a successful poll is gone at once", async () => {
    const deleted = createScriptedServer({ get: [running(0), fault(Code.NotFound)] });
    const handle = await startedOn(deleted);
    const result = operationErrorOf(handle.result());
    await deleted.clock.advance(60_000);
    expect(await result).toMatchObject({ kind: "gone", polls: 2 });
    expect(deleted.getsAt()).toEqual([1000, 2500]);
  });

  it("client 23: NOT_FOUND at a resume is gone at once", async () => {
    const { client, looks } = createScriptedServer({ get: [fault(Code.NotFound)] });
    const error = await operationErrorOf(client.resume(Print, scriptedName));
    expect(error).toMatchObject({ kind: "gone", operationName: scriptedName });
    expect(looks()).toHaveLength(1);
  });
});

/** A handle of an operation that was just started, whose looks a script answers. */
function startedOn({ transport, clock }: ScriptedServer): Promise<PrintHandle> {
  const options = { clock, poll: { jitter: 0 } };
  return createLongRunningClient({ print: Print }, transport, options).print({});
}
