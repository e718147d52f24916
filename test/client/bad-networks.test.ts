import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { assert, describe, expect, it, vi } from "vitest";
import {
  type ClientOptions,
  createLongRunningClient,
  createOperationsClient,
  OperationError,
  type StartOptions,
  watchAll,
} from "../../src/index.js";
import { Operations } from "../../src/protos.js";
import {
  createManualClock,
  createScriptedOperations,
  type OperationScript,
  type OperationsMethodName,
  type PollScript,
} from "../../src/testing/index.js";
import { anOperation } from "../support/an-operation.js";
import { createCountedAbort } from "../support/counted-signal.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

/** A server on a manual clock, and a client whose delays have no jitter. */
function serve(options: ClientOptions = {}, without: OperationsMethodName[] = []) {
  const clock = createManualClock();
  const startMs = clock.monotonicMs();
  const scripted = createScriptedOperations({ clock, without });
  const clientOptions: ClientOptions = { clock, poll: { jitter: 0 }, ...options };
  const printer = (transport: Transport = scripted.transport) =>
    createLongRunningClient({ print: Print }, transport, clientOptions).print;
  return {
    clock,
    scripted,
    client: createOperationsClient(scripted.transport, clientOptions),
    printer,
    /** Starts an operation with this script. */
    start(script: OperationScript, startOptions?: StartOptions) {
      scripted.handle(Print, script);
      return printer()({}, startOptions);
    },
    /** The calls of a method, with their times in seconds. */
    times: (method: OperationsMethodName) =>
      scripted.calls
        .filter((call) => call.method === method)
        .map(({ atMs }) => (atMs - startMs) / 1000),
    elapsedMs: () => clock.monotonicMs() - startMs,
  };
}

/** WaitOperation of a path that cuts calls after a time; GetOperation works. */
const cutWaitsAfter =
  (ms: number, code = Code.Unavailable) =>
  (transport: Transport, clock: ReturnType<typeof createManualClock>): Transport => ({
    ...transport,
    unary(method, signal, ...rest) {
      if (method.name !== "WaitOperation") return transport.unary(method, signal, ...rest);
      const cut = new AbortController();
      const ends = AbortSignal.any([cut.signal, ...(signal === undefined ? [] : [signal])]);
      const error = new ConnectError("cut by a proxy", code);
      const unschedule = clock.schedule(ms, () => cut.abort(error));
      return transport.unary(method, ends, ...rest).then(
        (response) => {
          unschedule();
          return response;
        },
        (thrown: unknown) => {
          unschedule();
          throw cut.signal.aborted ? error : thrown;
        },
      );
    },
  });

async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  assert(error instanceof OperationError);
  return error;
}

/** Reads the scripted time that a wait took, in seconds. */
async function settledAt(promise: Promise<unknown>, served: ReturnType<typeof serve>) {
  let atMs: number | undefined;
  const note = () => {
    atMs = served.elapsedMs();
  };
  promise.then(note, note);
  while (atMs === undefined) await served.clock.advance(1000);
  return atMs / 1000;
}

const doneAfter = (ms: number): OperationScript => ({
  states: [{}, { afterMs: ms, response: {} }],
});

describe("the length of WaitOperation calls", () => {
  it.each([10, 15, 29, 30])("adapts to a proxy that cuts calls after %i s", async (seconds) => {
    const served = serve();
    served.scripted.handle(Print, doneAfter(600_000));
    const cut = cutWaitsAfter(seconds * 1000)(served.scripted.transport, served.clock);
    const handle = await served.printer(cut)({});
    expect(await settledAt(handle.result(), served)).toBeLessThanOrEqual(601);
    const waits = served.scripted.calls.filter(({ method }) => method === "WaitOperation");
    const failed = waits.filter(({ state }) => state === "given-up").length;
    expect(failed).toBeLessThanOrEqual(8);
    expect(served.scripted.calls.length).toBeLessThanOrEqual(90);
  });

  it("is 25 s, and each such call follows the one before at once", async () => {
    const served = serve();
    const handle = await served.start(doneAfter(70_000));
    expect(await settledAt(handle.result(), served)).toBe(70);
    expect(served.times("WaitOperation")).toEqual([0, 25, 50]);
    expect(served.times("GetOperation")).toEqual([]);
  });

  it("gets short for a server that ignores the timeout, then calls are left out", async () => {
    const served = serve();
    const handle = await served.start({
      states: [{}, { afterMs: 600_000, response: {} }],
      polls: ({ method }): PollScript => (method === "WaitOperation" ? "hang" : "answer"),
    });
    expect(await settledAt(handle.result(), served)).toBeLessThanOrEqual(622);
    expect(served.times("WaitOperation").length).toBeLessThanOrEqual(10);
  });

  it("is not asked again every second of a server that responds after a second", async () => {
    const served = serve();
    const handle = await served.start({
      states: [{}, { afterMs: 600_000, response: {} }],
      polls: ({ elapsedMs }): PollScript => ({ delayMs: elapsedMs >= 600_000 ? 0 : 1000 }),
    });
    expect(await settledAt(handle.result(), served)).toBeLessThanOrEqual(621);
    expect(served.scripted.calls.length).toBeLessThanOrEqual(45);
  });

  it("is remembered per client: another operation does not pay again", async () => {
    const served = serve();
    served.scripted.handle(Print, doneAfter(30_000));
    const cut = cutWaitsAfter(15_000)(served.scripted.transport, served.clock);
    const print = served.printer(cut);
    const first = (await print({})).result();
    await served.clock.advance(16_000);
    const second = (await print({})).result();
    await served.clock.advance(12_000);
    const second12s = served.scripted.calls
      .filter(({ method }) => method === "WaitOperation")
      .at(-1);
    expect(second12s?.state).not.toBe("given-up");
    await served.clock.advance(60_000);
    await Promise.all([first, second]);
  });
});

describe("the retry delay of a server", () => {
  const busy = (header: Record<string, string>) => new ConnectError("", Code.Unavailable, header);

  it.each([
    ["0 s", { "retry-after": "0" }],
    ["a date in the past", { "retry-after": new Date(0).toUTCString() }],
  ])("of %s leaves the client's own delays", async (_, header) => {
    const served = serve({ mode: "poll" });
    const handle = await served.start({
      states: [{}, { afterPolls: 1, response: {} }],
      polls: ({ elapsedMs }): PollScript => (elapsedMs < 4000 ? { fails: busy(header) } : "answer"),
    });
    await settledAt(handle.result(), served);
    expect(served.times("GetOperation")).toEqual([1, 2.5, 4.75]);
  });

  it("of 0 s leaves the delays of watchAll and of a start", async () => {
    const served = serve({ mode: "poll" });
    const failing = { fails: busy({ "retry-after": "0" }) };
    served.scripted.handle(Print, [failing, failing, doneAfter(3000)]);
    const starting = served.printer()({});
    await served.clock.advance(2500);
    const handle = await starting;
    expect(
      served.scripted.calls.map(({ atMs }) => atMs - (served.scripted.calls[0]?.atMs ?? 0)),
    ).toEqual([0, 1000, 2500]);
    const iterator = watchAll([handle])[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    await served.clock.advance(10_000);
    expect((await next).value).toMatchObject({ snapshot: { kind: "succeeded" } });
  });

  it("on a good response is a lower bound of the next delay", async () => {
    const served = serve();
    const { scripted, clock } = served;
    const polite = createRouterTransport((router) => {
      router.service(Operations, {
        ...scripted.service,
        getOperation(request, context) {
          context.responseHeader.set("retry-after", "7");
          return scripted.service.getOperation(request, context);
        },
      });
    });
    scripted.add(Print, { name: "operations/1", states: [{}, { afterMs: 5000, response: {} }] });
    const client = createOperationsClient(polite, { clock, mode: "poll", poll: { jitter: 0 } });
    const handle = await client.resume(Print, "operations/1");
    expect(await settledAt(handle.result(), served)).toBe(8);
    expect(served.times("GetOperation")).toEqual([0, 1, 8]);
  });

  it("does not make a start longer than its timeoutMs", async () => {
    const served = serve();
    const failing = { fails: busy({ "retry-after": "300" }) };
    served.scripted.handle(Print, [failing, doneAfter(0)]);
    const starting = rejectionOf(served.printer()({}, { timeoutMs: 5000 }));
    expect(await settledAt(starting, served)).toBeLessThanOrEqual(1);
    expect((await starting).code).toBe(Code.Unavailable);
  });
});

describe("a date that is set while a client waits", () => {
  it.each([-3_600_000, 3_600_000])("by %i ms moves no poll", async (byMs) => {
    const served = serve({ mode: "poll" });
    const handle = await served.start(doneAfter(17_000));
    const result = handle.result({ poll: { initialDelayMs: 20_000, jitter: 0 } });
    await served.clock.advance(15_000);
    served.clock.setDate(served.clock.nowMs() + byMs);
    // A faster follower cuts the pause short.
    const fast = handle.outcome({ poll: { initialDelayMs: 18_000, jitter: 0 } });
    // 18 s after the pause began.
    expect(await settledAt(result, served)).toBe(18);
    await fast;
  });
});

describe("held calls", () => {
  it("are as many as maxHeldWaits, and waits take turns", async () => {
    const served = serve({ maxHeldWaits: 2 });
    const { scripted, clock } = served;
    scripted.handle(Print, { states: [{}, { afterMs: 300_000, response: {} }] });
    const print = served.printer();
    const handles = await Promise.all(Array.from({ length: 6 }, () => print({})));
    let most = 0;
    const held = () =>
      scripted.calls.filter(({ method, state }) => method === "WaitOperation" && state === "open");
    const results = handles.map((handle) => handle.result());
    const names = new Set<string>();
    for (let second = 0; second < 290; second += 1) {
      await clock.advance(1000);
      most = Math.max(most, held().length);
      for (const { name } of held()) names.add(name);
    }
    expect(most).toBe(2);
    expect(names.size).toBe(6);
    await clock.advance(60_000);
    await Promise.all(results);
  });

  it("are not made with maxHeldWaits of 0", async () => {
    const served = serve({ maxHeldWaits: 0 });
    const handle = await served.start(doneAfter(2000));
    await settledAt(handle.result(), served);
    expect(served.times("WaitOperation")).toEqual([]);
  });
});

describe("cancelAndWait", () => {
  it("ends at its timeoutMs if CancelOperation hangs", async () => {
    const served = serve();
    const handle = await served.start({ cancel: "hang" });
    const ended = operationErrorOf(handle.cancelAndWait({ timeoutMs: 3000 }));
    expect(await settledAt(ended, served)).toBeLessThanOrEqual(4);
    expect((await ended).kind).toBe("timeout");
  });

  it.each([Code.FailedPrecondition, Code.NotFound, Code.Unimplemented])(
    "takes the final state if the cancellation fails with code %i because the operation is done",
    async (code) => {
      const served = serve({ mode: "poll" });
      const handle = await served.start({
        states: [{}, { afterMs: 10, response: {} }],
        cancel: { fails: code },
      });
      const transport: Transport = {
        ...served.scripted.transport,
        unary(method, ...rest) {
          if (method.name === "CancelOperation") return Promise.reject(new ConnectError("", code));
          return served.scripted.transport.unary(method, ...rest);
        },
      };
      await served.clock.advance(20);
      const client = createLongRunningClient({ print: Print }, transport, { clock: served.clock });
      const again = await client.print.resume(handle.resumeToken);
      expect((await again.cancelAndWait()).kind).toBe("succeeded");
      // This handle has not seen the final state yet.
      const lateClient = createLongRunningClient({ print: Print }, transport, {
        clock: served.clock,
        mode: "poll",
      });
      served.scripted.handle(Print, doneAfter(1000));
      const late = await lateClient.print({});
      await served.clock.advance(1000);
      expect((await late.cancelAndWait()).kind).toBe("succeeded");
    },
  );

  it("sends its request again after a transient error", async () => {
    const served = serve({ mode: "poll" });
    const handle = await served.start({ states: [{}] });
    let fails = 2;
    const { transport } = served.scripted;
    const flaky: Transport = {
      ...transport,
      unary(method, ...rest) {
        if (method.name !== "CancelOperation" || fails === 0)
          return transport.unary(method, ...rest);
        fails -= 1;
        return Promise.reject(new ConnectError("", Code.Unavailable));
      },
    };
    const client = createLongRunningClient({ print: Print }, flaky, {
      clock: served.clock,
      mode: "poll",
      poll: { jitter: 0 },
    });
    const resumed = await client.print.resume(handle.resumeToken);
    const outcome = resumed.cancelAndWait();
    await served.clock.advance(10_000);
    expect((await outcome).kind).toBe("cancelled");
  });
});

describe("the end of a wait", () => {
  it.each([
    ["leave", 2000],
    ["cancel", 3000],
  ] as const)(
    "comes within its timeoutMs and a second at a hanging server: %s",
    async (onTimeout, ms) => {
      const served = serve();
      const handle = await served.start({ polls: () => "hang", cancel: "hang" });
      const error = operationErrorOf(handle.result({ timeoutMs: 1000, onTimeout }));
      await served.clock.advance(ms);
      expect(await error).toMatchObject({ kind: "timeout", elapsedMs: ms });
      expect(served.clock.scheduled()).toBe(0);
    },
  );

  it("adds one listener to a signal for any number of waits", async () => {
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const served = serve({ mode: "poll" });
    const handle = await served.start({});
    const abort = createCountedAbort();
    const waits = Array.from({ length: 30 }, () =>
      operationErrorOf(handle.result({ signal: abort.signal })),
    );
    expect(abort.listeners()).toBe(1);
    abort.abort();
    for (const error of await Promise.all(waits)) expect(error.kind).toBe("aborted");
    expect(abort.listeners()).toBe(0);
    expect(warnings).not.toHaveBeenCalled();
    warnings.mockRestore();
  });

  it("comes at once with kind gone after the handle has deleted the operation", async () => {
    const served = serve();
    const handle = await served.start({});
    const waiting = operationErrorOf(handle.result());
    await served.clock.advance(100);
    await handle.delete();
    expect(await waiting).toMatchObject({ kind: "gone", elapsedMs: 100 });
    expect(await operationErrorOf(handle.result())).toMatchObject({ kind: "gone", elapsedMs: 0 });
    expect(served.clock.scheduled()).toBe(0);
  });
});

describe("a name", () => {
  it("with a lone surrogate is a rejection with INVALID_ARGUMENT", async () => {
    const { client } = serve();
    for (const call of [
      client.get("operations/\ud800"),
      client.wait("operations/\ud800"),
      client.cancel("operations/\ud800"),
      client.delete("operations/\ud800"),
      client.resume(Print, "operations/\ud800"),
    ]) {
      expect((await rejectionOf(call)).code).toBe(Code.InvalidArgument);
    }
  });

  it("that is missing from a started, running operation is malformed at once", async () => {
    const { clock } = serve();
    const transport = createRouterTransport((router) => {
      router.rpc(Print.method, () => anOperation({ name: "" }));
    });
    const { print } = createLongRunningClient({ print: Print }, transport, { clock });
    expect(await operationErrorOf(print({}))).toMatchObject({
      kind: "malformed",
      code: Code.Internal,
    });
  });

  it("in any form gives a token that can be read again", async () => {
    const name = "/odd//name ";
    const transport = createRouterTransport((router) => {
      router.service(Operations, { getOperation: () => anOperation({ name, done: true }) });
    });
    const client = createOperationsClient(transport);
    const { resumeToken } = await client.resume(Print, name);
    const again = await client.resume(Print, JSON.parse(JSON.stringify(resumeToken)));
    expect(again.name).toBe(name);
  });
});
