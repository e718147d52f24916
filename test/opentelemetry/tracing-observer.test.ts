import { Code } from "@connectrpc/connect";
import {
  type Context,
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, assert, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClientOptions, createLongRunningClient } from "../../src/index.js";
import { createTracingObserver } from "../../src/opentelemetry/index.js";
import { anOperation } from "../support/an-operation.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import {
  createScriptedServer,
  failed,
  fault,
  running,
  type Script,
  scriptedName,
  succeeded,
} from "../support/scripted-server.js";

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(exporter)],
});
const tracer = tracerProvider.getTracer("test");

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());
beforeEach(() => exporter.reset());

/** A scripted server, clients that are traced, and an operation started on it. */
async function traced(script: Script) {
  const observer = createTracingObserver({ tracerProvider });
  const options: ClientOptions = { mode: "poll", observer };
  const server = createScriptedServer({ ...script, options });
  const printer = createLongRunningClient({ print: Print }, server.transport, {
    ...options,
    clock: server.clock,
    poll: { jitter: 0 },
  });
  return { ...server, printer, handle: await printer.print({}) };
}

/** The one span of a wait that has ended. */
function waitSpan(): ReadableSpan {
  const spans = exporter.getFinishedSpans().filter(({ name }) => name.endsWith(" wait"));
  const [span] = spans;
  assert(spans.length === 1 && span !== undefined, `${spans.length} spans have ended`);
  return span;
}

const within = (name: string) => trace.setSpan(ROOT_CONTEXT, tracer.startSpan(name));
const spanContextOf = (from: Context) => trace.getSpanContext(from);

describe("createTracingObserver", () => {
  it("makes one span of a wait: child of the one it began in, linked to that of the start", async () => {
    const { printer, clock } = await traced({ get: [running(0), succeeded(3)] });
    const [start, wait] = [within("start"), within("wait")];
    const handle = await context.with(start, () => printer.print({}));
    const result = context.with(wait, () => handle.result());
    await clock.advance(10_000);
    await result;
    const span = waitSpan();
    expect(span).toMatchObject({
      name: "printing.v1.PrintService/Print wait",
      kind: SpanKind.INTERNAL,
      status: { code: SpanStatusCode.UNSET },
      parentSpanContext: spanContextOf(wait),
      links: [{ context: spanContextOf(start) }],
    });
    expect(span.spanContext().traceId).toBe(spanContextOf(wait)?.traceId);
  });

  it("says what the wait cost and how it ended", async () => {
    const { handle, clock } = await traced({
      get: [running(0), fault(Code.Unavailable), succeeded(3)],
    });
    const result = handle.result();
    await clock.advance(10_000);
    await result;
    expect(waitSpan().attributes).toEqual({
      "gcp.resource.destination.id": scriptedName,
      "gcp.longrunning.poll_attempt_count": 3,
      "gcp.longrunning.done": true,
      "gcp.longrunning.status_code": 0,
      "connect_longrunning.wait.end": "succeeded",
      "connect_longrunning.wait.failed_polls": 1,
      "connect_longrunning.wait.paused_ms": 1000 + 1500 + 2250,
      "connect_longrunning.wait.overshoot_ms": 2250,
    });
  });

  it("does not make the span active", async () => {
    const { handle, clock } = await traced({ get: [running(0), succeeded(3)] });
    const wait = within("wait");
    const active: unknown[] = [];
    const note = () => active.push(trace.getActiveSpan());
    const result = context.with(wait, () => {
      const waiting = handle.result({ onProgress: note });
      note();
      return waiting;
    });
    await clock.advance(10_000);
    await result;
    const span = trace.getSpan(wait);
    expect(active).toEqual([span, span, span]);
  });

  it.each([
    {
      status: failed(Code.FailedPrecondition, "no paper"),
      code: 9,
      type: "FAILED_PRECONDITION",
      end: "failed",
    },
    { status: failed(Code.Canceled, "as asked"), code: 1, type: "CANCELLED", end: "cancelled" },
    { status: anOperation({ done: true }), code: undefined, type: "INTERNAL", end: "malformed" },
  ])("is an error for an operation that is $end", async ({ status, code, type, end }) => {
    const { handle, clock } = await traced({ get: [running(0), status] });
    const outcome = handle.outcome();
    await clock.advance(10_000);
    await outcome;
    expect(waitSpan().status.code).toBe(SpanStatusCode.ERROR);
    const { attributes } = waitSpan();
    expect(attributes).toMatchObject({
      "gcp.longrunning.done": true,
      "error.type": type,
      "connect_longrunning.wait.end": end,
    });
    expect(attributes["gcp.longrunning.status_code"]).toBe(code);
  });

  it("has the operation's message in the status of a failure", async () => {
    const { handle } = await traced({ starts: [failed(Code.Aborted, "paper jam")] });
    await rejectionOf(handle.result());
    expect(waitSpan().status).toEqual({ code: SpanStatusCode.ERROR, message: "paper jam" });
  });

  it.each([
    { end: "timeout", type: "DEADLINE_EXCEEDED", options: { timeoutMs: 2000 }, polls: 2 },
    {
      end: "aborted",
      type: "CANCELLED",
      options: { signal: AbortSignal.abort() },
      polls: 0,
    },
    { end: "poll", type: "PERMISSION_DENIED", options: {}, polls: 3 },
  ])("is an error for a wait that ends by $end, and says nothing of the operation", async (row) => {
    const { handle, clock } = await traced({
      get: [running(0), running(0), fault(Code.PermissionDenied)],
    });
    const error = rejectionOf(handle.result(row.options));
    await clock.advance(10_000);
    await error;
    expect(waitSpan().status.code).toBe(SpanStatusCode.ERROR);
    const { attributes } = waitSpan();
    expect(attributes).toMatchObject({
      "gcp.longrunning.done": false,
      "gcp.longrunning.poll_attempt_count": row.polls,
      "error.type": row.type,
      "connect_longrunning.wait.end": row.end,
    });
    expect(attributes).not.toHaveProperty("gcp.longrunning.status_code");
    expect(attributes).not.toHaveProperty("connect_longrunning.wait.overshoot_ms");
  });

  it("does not take the abort of a wait for the cancellation of its finished operation", async () => {
    const { handle } = await traced({ starts: [succeeded(3), succeeded(3)] });
    await rejectionOf(handle.result({ signal: AbortSignal.abort() }));
    expect(waitSpan().attributes).toMatchObject({
      "gcp.longrunning.done": true,
      "gcp.longrunning.status_code": 0,
      "error.type": "CANCELLED",
      "connect_longrunning.wait.end": "aborted",
    });
  });

  it("ends the span of an iteration that its caller leaves, without an error", async () => {
    const { handle } = await traced({});
    for await (const state of handle) {
      expect(state.kind).toBe("running");
      break;
    }
    expect(waitSpan()).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { "gcp.longrunning.done": false, "connect_longrunning.wait.end": "stopped" },
    });
  });

  it("ends the span of a wait whose poll policy throws", async () => {
    const { handle } = await traced({});
    const delayMs = () => {
      throw new Error("a bug");
    };
    await expect(handle.result({ poll: { delayMs, isTransient: () => true } })).rejects.toThrow();
    expect(waitSpan().attributes).toMatchObject({
      "error.type": "UNKNOWN",
      "connect_longrunning.wait.end": "policy",
    });
  });

  it("makes a span of each of several waits, with the pauses that each has seen", async () => {
    const { handle, clock } = await traced({ get: [running(0), succeeded(3)] });
    const first = handle.result();
    await clock.advance(900);
    const second = handle.result();
    await clock.advance(10_000);
    await Promise.all([first, second]);
    await handle.result();
    const costs = exporter
      .getFinishedSpans()
      .map(({ attributes }) => [
        attributes["gcp.longrunning.poll_attempt_count"],
        attributes["connect_longrunning.wait.paused_ms"],
        attributes["connect_longrunning.wait.overshoot_ms"],
      ]);
    expect(costs).toEqual([
      [2, 2500, 1500],
      [2, 1600, 1500],
      [0, 0, 0],
    ]);
  });

  it("counts the pause that an abort ends, and the pause before the final poll", async () => {
    const { handle, clock } = await traced({ get: [running(0), running(0), succeeded(3)] });
    const controller = new AbortController();
    const aborted = rejectionOf(handle.result({ signal: controller.signal }));
    const timed = handle.result({ timeoutMs: 3000 });
    await clock.advance(1400);
    controller.abort();
    await aborted;
    await clock.advance(10_000);
    await timed;
    const costs = exporter
      .getFinishedSpans()
      .map(({ attributes }) => [
        attributes["connect_longrunning.wait.paused_ms"],
        attributes["connect_longrunning.wait.overshoot_ms"],
      ]);
    expect(costs).toEqual([
      [1400, undefined],
      [3000, 500],
    ]);
  });

  it("has no link for an operation that was resumed", async () => {
    const { client, clock } = await traced({ get: [running(0), succeeded(3)] });
    const handle = await context.with(within("resume"), () => client.resume(Print, scriptedName));
    const result = handle.result();
    await clock.advance(10_000);
    await result;
    expect(waitSpan().links).toEqual([]);
    expect(waitSpan().parentSpanContext).toBeUndefined();
  });

  it("has no link for an operation that was started outside of any span", async () => {
    const { handle } = await traced({ starts: [succeeded(3), succeeded(3)] });
    await handle.result();
    expect(waitSpan().links).toEqual([]);
  });

  it("does nothing without a registered tracer, and uses one that is registered later", async () => {
    const observer = createTracingObserver();
    const { transport, clock } = createScriptedServer({ starts: [succeeded(3), succeeded(3)] });
    const printer = createLongRunningClient({ print: Print }, transport, { clock, observer });
    expect(await (await printer.print({})).result()).toMatchObject({ pages: 3 });
    expect(exporter.getFinishedSpans()).toEqual([]);
    trace.setGlobalTracerProvider(tracerProvider);
    try {
      await (await printer.print({})).result();
      expect(waitSpan().attributes["connect_longrunning.wait.end"]).toBe("succeeded");
    } finally {
      trace.disable();
    }
  });
});

describe("an observer that throws", () => {
  it("prevents no start and no wait", async () => {
    const fail = () => {
      throw new Error("a bug");
    };
    const { transport, clock } = createScriptedServer({ get: [running(0), succeeded(3)] });
    const printer = createLongRunningClient({ print: Print }, transport, {
      clock,
      observer: { operationStarted: fail, waitStarted: () => ({ polled: fail, ended: fail }) },
    });
    const result = (await printer.print({})).result();
    await clock.advance(10_000);
    expect(await result).toMatchObject({ pages: 3 });
  });
});
