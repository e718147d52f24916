import { create } from "@bufbuild/protobuf";
import { AnySchema, anyUnpack, EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, expect, it } from "vitest";
import {
  createLongRunningClient,
  createOperationsClient,
  OperationError,
  pack,
  standardDetailsOf,
  unpackAs,
} from "../../src/index.js";
import { ListOperationsResponseSchema, RetryInfoSchema } from "../../src/protos.js";
import { PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { operationsTransport } from "../support/scripted-operations.js";
import {
  createScriptedServer,
  failed,
  fault,
  running,
  type Script,
  scriptedName,
  succeeded,
} from "../support/scripted-server.js";

/** A handle of an operation that a server without WaitOperation answers for. */
async function resumed(...get: NonNullable<Script["get"]>) {
  const server = createScriptedServer({ get, options: { mode: "poll" } });
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

describe("traps of the libraries that people use today", () => {
  it("trap: a second result() hangs after the first has settled", async () => {
    const good = await resumed(succeeded(3));
    const bad = await resumed(failed(Code.Aborted, "jam"));
    for (let count = 0; count < 3; count += 1) {
      expect(await good.handle.result()).toMatchObject({ pages: 3 });
      expect((await operationErrorOf(bad.handle.result())).rawMessage).toBe("jam");
    }
    expect([...good.looks(), ...bad.looks()]).toEqual([]);
  });

  it("trap: polls inherit the headers, the timeout and the retries of the start", async () => {
    const { transport, clock } = createPrintServer(() => new Promise(() => undefined));
    const polls: [routed: string | null, own: string | null, timeoutMs: number | undefined][] = [];
    let unavailable = 3;
    const recorded: typeof transport = {
      ...transport,
      unary(method, signal, timeoutMs, header, ...rest) {
        if (method.name === "GetOperation") {
          const headers = new Headers(header);
          const routed = headers.get("x-goog-request-params");
          polls.push([routed, headers.get("x-start-only"), timeoutMs]);
          unavailable -= 1;
          if (unavailable >= 0) return Promise.reject(fault(Code.Unavailable));
        }
        return transport.unary(method, signal, timeoutMs, header, ...rest);
      },
    };
    const client = createLongRunningClient({ print: Print }, recorded, { clock, mode: "poll" });
    const headers = { "x-goog-request-params": "parent=p", "x-start-only": "1" };
    const handle = await client.print({}, { headers, timeoutMs: 5000, maxTries: 1 });
    const result = operationErrorOf(handle.result({ timeoutMs: 60_000 }));
    await clock.advance(60_000);
    expect((await result).kind).toBe("timeout");
    expect(polls.length).toBeGreaterThan(5);
    const routed = `name=${encodeURIComponent(handle.name)}`;
    // The last one follows the wait's own limit.
    expect(polls.pop()).toEqual([routed, null, 1000]);
    for (const poll of polls) expect(poll).toEqual([routed, null, 10_000]);
  });

  it("trap: a payload is decoded as the expected type, whatever its type URL says", async () => {
    // Bytes that would pass for a PrintResponse of 3 pages.
    const { value } = pack(PrintResponseSchema, { pages: 3 });
    const payload = create(AnySchema, { typeUrl: "type.googleapis.com/elsewhere.v1.T", value });
    const { handle } = await resumed(
      anOperation({ done: true, result: { case: "response", value: payload } }),
    );
    const error = await operationErrorOf(handle.result());
    expect(error.kind).toBe("unexpected-type");
    expect(standardDetailsOf(error).errorInfo?.metadata).toEqual({
      expected: "printing.v1.PrintResponse",
      typeUrl: payload.typeUrl,
    });
  });

  it("trap: a list stops silently after a run of empty pages", async () => {
    const client = createOperationsClient(
      operationsTransport({
        listOperations({ pageToken }) {
          const page = Number(pageToken || 0);
          return create(ListOperationsResponseSchema, {
            operations: page === 50 ? [anOperation()] : [],
            nextPageToken: page === 50 ? "" : String(page + 1),
          });
        },
      }),
    );
    const names: string[] = [];
    for await (const { name } of client.list()) names.push(name);
    expect(names).toEqual([scriptedName]);
  });

  it("trap: done without a result resolves an empty object, or hangs", async () => {
    const end = anOperation({ done: true });
    const { handle } = await resumed(end);
    expect((await operationErrorOf(handle.result())).kind).toBe("malformed");
    // The caller may want it that way.
    const { client } = createScriptedServer({ get: [end], options: { onMissingResult: "empty" } });
    const lenient = await client.resume(Print, scriptedName);
    expect(await lenient.result()).toEqual(create(PrintResponseSchema));
  });

  it("trap: a deadline is reported as cancelled, without the operation's name", async () => {
    const { handle, clock } = await resumed(running(0));
    const result = operationErrorOf(handle.result({ timeoutMs: 3000 }));
    await clock.advance(3000);
    const error = await result;
    expect(error).toMatchObject({ kind: "timeout", code: Code.DeadlineExceeded, polls: 3 });
    expect(error.rawMessage).toBe(
      `operation "${scriptedName}" is not done after 3000 ms (3 polls)`,
    );
  });

  it("trap: the abort of one caller rejects all waits", async () => {
    const { handle, clock, getsAt } = await resumed(running(0), running(0), succeeded(3));
    const controller = new AbortController();
    const one = operationErrorOf(handle.result({ signal: controller.signal }));
    const others = [handle.result(), handle.outcome()];
    await clock.advance(100);
    controller.abort();
    expect((await one).kind).toBe("aborted");
    await clock.advance(60_000);
    expect(await Promise.all(others)).toMatchObject([{ pages: 3 }, { kind: "succeeded" }]);
    // One loop, not three.
    expect(getsAt()).toEqual([1000, 2500]);
  });

  it("trap: a server's retry delay is ignored, or applies to all later polls", async () => {
    const hint = new ConnectError("", Code.ResourceExhausted, undefined, [
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 7n } } },
    ]);
    const { handle, clock, getsAt } = await resumed(running(0), hint, running(0), succeeded(3));
    const result = handle.result();
    await clock.advance(60_000);
    await result;
    expect(getsAt()).toEqual([1000, 1000 + 7000, 1000 + 7000 + 2250]);
  });

  it("trap: a progress listener that throws kills the wait", async () => {
    const { handle, clock } = await resumed(running(0), running(1), succeeded(3));
    const reported: unknown[] = [];
    const bug = new Error("a bug");
    const result = handle.result({
      onProgress() {
        throw bug;
      },
      onListenerError(error) {
        reported.push(error);
        throw error;
      },
    });
    await clock.advance(60_000);
    expect(await result).toMatchObject({ pages: 3 });
    expect(reported).toEqual([bug]);
  });

  it("trap: anyUnpack gives undefined for another type and a plain error for broken bytes", () => {
    const other = pack(EmptySchema, {});
    const { typeUrl } = pack(PrintResponseSchema, {});
    const broken = create(AnySchema, { typeUrl, value: Uint8Array.of(0xff) });
    // Protobuf-ES:
    expect(anyUnpack(other, PrintResponseSchema)).toBeUndefined();
    expect(() => anyUnpack(broken, PrintResponseSchema)).toThrow(RangeError);
    // This package:
    for (const [payload, reason] of [
      [other, "UNEXPECTED_TYPE"],
      [broken, "MALFORMED_PAYLOAD"],
    ] as const) {
      let thrown: unknown;
      try {
        unpackAs(payload, PrintResponseSchema);
      } catch (error) {
        thrown = error;
      }
      assert(thrown instanceof ConnectError);
      expect(thrown.code).toBe(Code.Internal);
      expect(standardDetailsOf(thrown).errorInfo?.reason).toBe(reason);
    }
  });

  it.each([
    ["AbortSignal.timeout", new DOMException("signal timed out", "TimeoutError")],
    ["abort() without a reason", AbortSignal.abort().reason],
    ["a reason of the caller's own", new Error("page was closed")],
    ["a reason that is no error", "enough"],
    ["a ConnectError as the reason", new ConnectError("late", Code.DeadlineExceeded)],
  ])(
    "trap: %s shows by a code of its own; it is `aborted`, with the reason as cause",
    async (_, reason) => {
      const { handle, clock } = await resumed(running(0));
      const controller = new AbortController();
      const during = operationErrorOf(handle.result({ signal: controller.signal }));
      await clock.advance(500);
      controller.abort(reason);
      const before = operationErrorOf(handle.result({ signal: controller.signal }));
      for (const error of [await during, await before]) {
        expect(error).toMatchObject({ kind: "aborted", code: Code.Canceled });
        expect(error.cause).toBe(reason);
      }
    },
  );

  it("trap: timeoutMs shows as DeadlineExceeded as a failed operation may; it is `timeout`", async () => {
    const { handle, clock } = await resumed(running(0), failed(Code.DeadlineExceeded));
    const timedOut = operationErrorOf(handle.result({ timeoutMs: 0 }));
    await clock.advance(0);
    expect((await timedOut).kind).toBe("failed");
    const { handle: slow, clock: other } = await resumed(running(0));
    const late = operationErrorOf(slow.result({ timeoutMs: 0 }));
    await other.advance(0);
    expect(await late).toMatchObject({ kind: "timeout", code: Code.DeadlineExceeded });
  });

  it("trap: a subclass of ConnectError fails Connect's own instanceof", async () => {
    const { handle } = await resumed(failed(Code.Aborted, "jam"));
    const error = await operationErrorOf(handle.result());
    expect(error instanceof ConnectError).toBe(true);
    expect(ConnectError.from(error)).toBe(error);
    expect(new ConnectError("", Code.Aborted) instanceof OperationError).toBe(false);
  });

  it("trap: awaiting a handle waits for the operation", async () => {
    const { handle, clock } = await resumed(running(0));
    expect(await handle).toBe(handle);
    expect(handle).not.toHaveProperty("then");
    expect(clock.scheduled()).toBe(0);
  });
});
