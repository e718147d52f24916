import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { assert, describe, expect, expectTypeOf, it } from "vitest";
import { pack } from "../../src/any/index.js";
import { createOperationsClient, OperationError, type Snapshot } from "../../src/index.js";
import type { Operation } from "../../src/protos.js";
import { standardDetailsOf } from "../../src/status/index.js";
import { createManualClock } from "../../src/testing/index.js";
import {
  type PrintMetadata,
  PrintMetadataSchema,
  type PrintResponse,
  PrintResponseSchema,
} from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { createDeferred } from "../support/deferred.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { operationsTransport } from "../support/scripted-operations.js";

const done = (pages: number): Operation =>
  anOperation({
    done: true,
    result: { case: "response", value: pack(PrintResponseSchema, { pages }) },
  });
const running = (pagesPrinted: number): Operation =>
  anOperation({ metadata: pack(PrintMetadataSchema, { pagesPrinted }) });
const unimplemented = () => {
  // Some servers answer with no message at all.
  throw new ConnectError("", Code.Unimplemented);
};

/** A server without WaitOperation whose GetOperation gives these states, the last one for ever. */
function pollingServer(...states: [Operation, ...Operation[]]) {
  const calls = { get: 0, wait: 0 };
  const clock = createManualClock();
  const transport = operationsTransport({
    getOperation: () => states[Math.min(calls.get++, states.length - 1)] ?? states[0],
    waitOperation: () => {
      calls.wait += 1;
      return unimplemented();
    },
  });
  const client = createOperationsClient(transport, { clock });
  return { calls, clock, client };
}

describe("an operation's handle", () => {
  it("is not thenable, so that awaiting it never means waiting", async () => {
    const { printer } = createPrintServer(() => new Promise(() => undefined));
    const handle = await printer.print({});
    expect("then" in handle).toBe(false);
    expect(handle.snapshot.kind).toBe("running");
  });

  it("is typed by the method that was declared", async () => {
    const { printer } = createPrintServer(() => ({ pages: 1 }));
    const handle = await printer.print({});
    expectTypeOf(handle.result).returns.resolves.toEqualTypeOf<PrintResponse>();
    expectTypeOf(handle.snapshot.metadata).toEqualTypeOf<PrintMetadata | undefined>();
    // @ts-expect-error: a request has no such field.
    const call = () => printer.print({ sheets: 1 });
    expect(call).toBeTypeOf("function");
  });
});

describe("result", () => {
  it("client 1: asks for nothing when the start's answer was the end", async () => {
    const { client, calls, clock } = pollingServer(done(3));
    const handle = await client.resume(Print, "operations/op-1");
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect([calls.get, calls.wait, clock.scheduled()]).toEqual([1, 0, 0]);
  });

  it("settles every time, from memory, also for a failure", async () => {
    const error = { code: Code.Aborted, message: "jam" };
    const { client, calls } = pollingServer(
      anOperation({ done: true, result: { case: "error", value: error } }),
    );
    const handle = await client.resume(Print, "operations/op-1");
    for (let count = 0; count < 3; count += 1) {
      const thrown = await rejectionOf(handle.result());
      expect(thrown).toBeInstanceOf(OperationError);
      expect(thrown).toMatchObject({ kind: "failed", code: Code.Aborted, rawMessage: "jam" });
    }
    expect(calls.get).toBe(1);
  });

  it("client 9: tells a cancelled operation from an aborted wait", async () => {
    const { printer } = createPrintServer(() => new Promise(() => undefined));
    const handle = await printer.print({});
    const reason = new Error("page was closed");
    const aborted = await rejectionOf(handle.result({ signal: AbortSignal.abort(reason) }));
    expect(aborted).not.toBeInstanceOf(OperationError);
    expect(aborted).toMatchObject({ code: Code.Canceled });

    const { client } = pollingServer(
      anOperation({ done: true, result: { case: "error", value: { code: 1 } } }),
    );
    const cancelled = await client.resume(Print, "operations/op-1");
    expect(await rejectionOf(cancelled.result())).toMatchObject({ kind: "cancelled" });
  });

  it("client 20: waits by WaitOperation, with one call where the work is shorter than a slice", async () => {
    const calls: string[] = [];
    const clock = createManualClock();
    const answer = createDeferred<Operation>();
    const transport = operationsTransport({
      getOperation: () => running(0),
      waitOperation: ({ timeout }) => {
        calls.push(`wait ${timeout?.seconds}s`);
        return answer.promise;
      },
    });
    const handle = await createOperationsClient(transport, { clock }).resume(Print, "operations/1");
    const result = handle.result();
    await clock.advance(12_300);
    answer.resolve(done(3));
    expect(await result).toMatchObject({ pages: 3 });
    expect(calls).toEqual(["wait 30s"]);
    expect(clock.scheduled()).toBe(0);
  });

  it("client 20: falls back to GetOperation for good where a server has no WaitOperation", async () => {
    const { client, calls, clock } = pollingServer(running(0), running(1), running(2), done(3));
    const first = await client.resume(Print, "operations/op-1");
    const result = first.result();
    const getsAt: [number, number][] = [];
    const startMs = clock.nowMs();
    for (const ms of [999, 1, 1499, 1, 2249, 1]) {
      await clock.advance(ms);
      getsAt.push([clock.nowMs() - startMs, calls.get]);
    }
    // Delays of 1000, 1500 and 2250 ms after the one call of resume.
    expect(getsAt).toEqual([
      [999, 1],
      [1000, 2],
      [2499, 2],
      [2500, 3],
      [4749, 3],
      [4750, 4],
    ]);
    expect(await result).toMatchObject({ pages: 3 });
    await (await client.resume(Print, "operations/op-1")).result();
    expect(calls.wait).toBe(1);
  });

  it("client 20: asks at most once a second a server that answers WaitOperation early", async () => {
    let waits = 0;
    const clock = createManualClock();
    const transport = operationsTransport({
      getOperation: () => running(0),
      waitOperation: () => {
        waits += 1;
        return waits < 5 ? running(waits) : done(3);
      },
    });
    const handle = await createOperationsClient(transport, { clock }).resume(Print, "operations/1");
    const result = handle.result();
    await clock.advance(3999);
    expect(waits).toBe(4);
    await clock.advance(1);
    expect(await result).toMatchObject({ pages: 3 });
  });

  it("client 16: an abort ends the wait at once and leaves nothing behind", async () => {
    const { client, calls, clock } = pollingServer(running(0));
    const handle = await client.resume(Print, "operations/op-1");
    const controller = new AbortController();
    const result = handle.result({ signal: controller.signal });
    await clock.advance(1500);
    const reason = new Error("page was closed");
    controller.abort(reason);
    expect(await rejectionOf(result)).toMatchObject({ code: Code.Canceled, cause: reason });
    expect(clock.scheduled()).toBe(0);
    await clock.advance(60_000);
    expect(calls.get).toBe(2);
  });

  it("passes on what an RPC rejects with, and can be called again", async () => {
    const clock = createManualClock();
    let broken = true;
    const transport = operationsTransport({
      getOperation: () => running(0),
      waitOperation: () => {
        if (broken) throw new ConnectError("not yours", Code.PermissionDenied);
        return done(3);
      },
    });
    const handle = await createOperationsClient(transport, { clock }).resume(Print, "operations/1");
    const error = await rejectionOf(handle.result());
    expect(error).not.toBeInstanceOf(OperationError);
    expect(error.code).toBe(Code.PermissionDenied);
    broken = false;
    expect(await handle.result()).toMatchObject({ pages: 3 });
  });

  it("client 11: refuses a response of another type", async () => {
    const clock = createManualClock();
    const transport = operationsTransport({
      getOperation: () => running(0),
      waitOperation: () =>
        anOperation({ done: true, result: { case: "response", value: pack(EmptySchema, {}) } }),
    });
    const handle = await createOperationsClient(transport, { clock }).resume(Print, "operations/1");
    const details = standardDetailsOf(await rejectionOf(handle.result()));
    expect(details.errorInfo?.reason).toBe("UNEXPECTED_TYPE");
  });

  it.each([
    ["initialDelayMs", { initialDelayMs: 0 }],
    ["maxDelayMs", { initialDelayMs: 10, maxDelayMs: 5 }],
    ["multiplier", { multiplier: 0.5 }],
    ["multiplier", { multiplier: Number.NaN }],
  ])("refuses a %s that makes no sense", async (name, options) => {
    const { client } = pollingServer(running(0));
    const handle = await client.resume(Print, "operations/op-1");
    await expect(handle.result(options)).rejects.toThrow(name);
  });
});

describe("iterating a handle", () => {
  type PrintSnapshot = Snapshot<typeof PrintResponseSchema, typeof PrintMetadataSchema>;

  async function pagesOf(states: AsyncIterable<PrintSnapshot>, seen: string[] = []) {
    for await (const { kind, metadata } of states) seen.push(`${kind} ${metadata?.pagesPrinted}`);
    return seen;
  }

  it("yields the present state first and the final one last", async () => {
    const { client, clock } = pollingServer(running(0), running(1), done(3));
    const handle = await client.resume(Print, "operations/op-1");
    const seen = pagesOf(handle);
    await clock.advance(10_000);
    expect(await seen).toEqual(["running 0", "running 1", "succeeded undefined"]);
    expect(handle.snapshot.kind).toBe("succeeded");
  });

  it("sees progress between and the end at once, by WaitOperation", async () => {
    const gate = createDeferred<{ pages: number }>();
    const { printer, clock } = createPrintServer((operation) => {
      operation.report({ pagesPrinted: 1 });
      return gate.promise;
    });
    const handle = await printer.print({});
    const seen: string[] = [];
    const walk = pagesOf(handle, seen);
    await clock.advance(1000);
    expect(seen).toEqual(["running undefined", "running 1"]);
    gate.resolve({ pages: 1 });
    // No time passes between the end and the last state.
    await walk;
    expect(seen.at(-1)).toBe("succeeded 1");
    expect(clock.scheduled()).toBe(0);
  });

  it("yields the end of an operation that failed, and does not throw it", async () => {
    const value = { code: Code.Aborted, message: "jam" };
    const { client } = pollingServer(anOperation({ done: true, result: { case: "error", value } }));
    const states = [];
    for await (const state of await client.resume(Print, "operations/op-1")) states.push(state);
    const [state] = states;
    assert(state?.kind === "failed");
    expect(state.error.rawMessage).toBe("jam");
    expect(states).toHaveLength(1);
  });

  it("asks for whole milliseconds, which is all that gRPC's timeout header can say", async () => {
    const { printer, clock, transport } = createPrintServer(() => new Promise(() => undefined));
    const timeouts: (number | undefined)[] = [];
    const recording: Transport = {
      ...transport,
      unary(method, signal, timeoutMs, ...rest) {
        timeouts.push(timeoutMs);
        return transport.unary(method, signal, timeoutMs, ...rest);
      },
    };
    const { name } = await printer.print({});
    const handle = await createOperationsClient(recording, { clock }).resume(Print, name);
    const controller = new AbortController();
    const options = { initialDelayMs: 75, multiplier: 1.5, signal: controller.signal };
    const watching = rejectionOf(pagesOf(handle.watch(options)));
    await clock.advance(75 + 113 + 169);
    controller.abort();
    await watching;
    expect(timeouts.slice(1)).toEqual([10_075, 10_113, 10_169, 10_254]);
  });

  it("client 18: a break stops the looking, and cancels nothing", async () => {
    const { client, calls, clock } = pollingServer(running(0));
    for await (const state of await client.resume(Print, "operations/op-1")) {
      expect(state.metadata?.pagesPrinted).toBe(0);
      break;
    }
    await clock.advance(60_000);
    expect(calls.get).toBe(1);
    expect(clock.scheduled()).toBe(0);
  });
});
