import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, assert, beforeAll, describe, expect, it } from "vitest";
import { createServerObserver } from "../../src/opentelemetry/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import {
  createPrintServer,
  type PrintServerOptions,
  type PrintWork,
} from "../support/print-server.js";
import { createCollectedMetrics } from "./collected-metrics.js";

const method = "printing.v1.PrintService/Print";

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());

/** An observed server, with its spans and metrics. */
function observed(work: PrintWork, options: PrintServerOptions = {}) {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(spans)],
  });
  const { meterProvider, points, bounds } = createCollectedMetrics();
  const observer = createServerObserver({ tracerProvider, meterProvider });
  const server = createPrintServer(work, { ...options, observer });
  return {
    ...server,
    observer,
    tracer: tracerProvider.getTracer("test"),
    runs: () => spans.getFinishedSpans().filter(({ name }) => name.startsWith("run ")),
    points,
    bounds,
    close: () => meterProvider.shutdown(),
  };
}

describe("createServerObserver", () => {
  it("makes a span of each run that links to the start's, and is active within the work", async () => {
    let active: string | undefined;
    const { printer, clock, tracer, runs, close } = observed(async () => {
      await Promise.resolve();
      active = trace.getActiveSpan()?.spanContext().spanId;
      return { pages: 1 };
    });
    const start = tracer.startSpan("start");
    const { name } = await context.with(trace.setSpan(ROOT_CONTEXT, start), () =>
      printer.print({}),
    );
    await clock.advance(0);
    const [run] = runs();
    assert(run !== undefined);
    expect(run).toMatchObject({
      name: `run ${method}`,
      kind: SpanKind.CONSUMER,
      parentSpanContext: undefined,
      status: { code: SpanStatusCode.UNSET },
      links: [{ context: start.spanContext() }],
    });
    // The names of OpenTelemetry's semantic conventions for messaging spans.
    expect(run.attributes).toEqual({
      "messaging.system": "connect_longrunning",
      "messaging.operation.name": "run",
      "messaging.operation.type": "process",
      "messaging.destination.name": method,
      "messaging.message.id": name,
      "gcp.resource.destination.id": name,
      "connect_longrunning.attempt": 1,
    });
    expect(active).toBe(run.spanContext().spanId);
    await close();
  });

  // https://www.w3.org/TR/trace-context/#traceparent-header
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const spanId = "00f067aa0ba902b7";
  const linked = { traceId, spanId, traceFlags: 1, isRemote: true };
  it.each([
    ["a header", { traceparent: `00-${traceId}-${spanId}-01` }, linked],
    [
      "a header of a later version, with more behind it",
      { traceparent: `cc-${traceId}-${spanId}-01-what-the-future-brings` },
      linked,
    ],
    ["version ff", { traceparent: `ff-${traceId}-${spanId}-01` }, undefined],
    ["more behind version 00", { traceparent: `00-${traceId}-${spanId}-01-more` }, undefined],
    ["a trace id of zeros", { traceparent: `00-${"0".repeat(32)}-${spanId}-01` }, undefined],
    ["capital letters", { traceparent: `00-${traceId.toUpperCase()}-${spanId}-01` }, undefined],
    ["no header", {}, undefined],
  ])(
    "links the run to the call that started it if no span is active: %s",
    async (_, headers, expected) => {
      const { transport, clock, runs, close } = observed(() => ({ pages: 1 }));
      await createClient(PrintService, transport).print({}, { headers });
      await clock.advance(0);
      expect(runs().map(({ links }) => links.map((link) => link.context))).toEqual([
        expected === undefined ? [] : [expected],
      ]);
      await close();
    },
  );

  it("keeps the tracestate of the call, up to 512 characters", async () => {
    const { transport, clock, runs, close } = observed(() => ({ pages: 1 }));
    const traceparent = `00-${traceId}-${spanId}-01`;
    for (const tracestate of ["rojo=1,congo=t61", `rojo=${"x".repeat(600)}`]) {
      await createClient(PrintService, transport).print(
        {},
        { headers: { traceparent, tracestate } },
      );
      await clock.advance(0);
    }
    expect(runs().map(({ links }) => links[0]?.context.traceState?.serialize())).toEqual([
      "rojo=1,congo=t61",
      undefined,
    ]);
    await close();
  });

  it("records the error of work that threw, attempt by attempt", async () => {
    const { printer, clock, runs, points, close } = observed(
      ({ attempt }) => {
        if (attempt === 1) throw new ConnectError("away", Code.Unavailable);
        throw new TypeError("a bug");
      },
      { method: { retry: {} } },
    );
    await printer.print({});
    await clock.advance(5000);
    expect(runs().map(({ attributes }) => attributes["error.type"])).toEqual([
      "UNAVAILABLE",
      "TypeError",
    ]);
    expect(runs().map(({ status }) => status.code)).toEqual(Array(2).fill(SpanStatusCode.ERROR));
    const of = { "connect_longrunning.method": method };
    expect(await points("runs.retried")).toEqual([[of, 1]]);
    expect(await points("operations.ended")).toEqual([
      [{ ...of, "connect_longrunning.code": "OK" }, 0],
      [{ ...of, "connect_longrunning.code": "UNKNOWN" }, 1],
    ]);
    await close();
  });

  it("measures time in the queue, of the run and in all, in seconds, by outcome", async () => {
    const { printer, client, clock, points, close } = observed(
      ({ signal, request }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          clock.schedule(request.pages * 1000, () => resolve({ pages: 1 }));
        }),
      { method: { maxConcurrent: 1 } },
    );
    await printer.print({ pages: 2 });
    const cancelled = await printer.print({ pages: 100 });
    await clock.advance(3000);
    await client.cancel(cancelled.name);
    await clock.advance(0);
    const of = { "connect_longrunning.method": method };
    const near = (value: number) => expect.closeTo(value, 3);
    expect(await points("operations.started")).toEqual([[of, 2]]);
    expect(await points("queue.duration")).toEqual([[of, near(2)]]);
    expect(await points("run.duration")).toEqual([[of, near(3)]]);
    expect(await points("operation.duration")).toEqual([
      [{ ...of, "connect_longrunning.code": "OK" }, near(2)],
      [{ ...of, "connect_longrunning.code": "CANCELLED" }, near(3)],
    ]);
    await close();
  });

  it("measures how soon waiters are answered, in buckets that begin with milliseconds", async () => {
    const { observer, points, bounds, close } = observed(() => ({}));
    observer.woken?.({ name: "operations/a", method, wakeMs: 4 });
    expect(await points("wake.duration")).toEqual([
      [{ "connect_longrunning.method": method }, expect.closeTo(0.004, 6)],
    ]);
    expect((await bounds("wake.duration")).slice(0, 3)).toEqual([0.001, 0.0025, 0.005]);
    await close();
  });

  it("keeps the number of waiters and the depth of the queue", async () => {
    const { observer, points, close } = observed(() => ({}));
    for (const count of [1, 2, 3, 1]) observer.waitersChanged?.(count);
    for (const depth of [5, 2]) observer.queueDepthChanged?.(depth);
    expect(await points("waiters")).toEqual([[{}, 1]]);
    expect(await points("queue.depth")).toEqual([[{}, 2]]);
    await close();
  });

  it("does nothing if neither tracer nor meter is registered", async () => {
    const { printer, clock, client } = createPrintServer(() => ({ pages: 1 }), {
      observer: createServerObserver(),
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    expect((await client.get(name)).result.case).toBe("response");
  });
});

describe("the counters of createServerObserver", () => {
  const of = { "connect_longrunning.method": method };
  const rpc = (name: string, code: string) => ({
    "connect_longrunning.rpc": name,
    "connect_longrunning.code": code,
  });

  it("exist with 0 before the first event, for each method that the server handles", async () => {
    const { points, close } = observed(() => ({}));
    for (const name of ["operations.started", "runs.retried", "runs.lost"]) {
      expect(await points(name)).toEqual([[of, 0]]);
    }
    expect(await points("operations.ended")).toEqual([
      [{ ...of, "connect_longrunning.code": "OK" }, 0],
    ]);
    expect(await points("rpcs")).toHaveLength(6);
    await close();
  });

  it("count calls by method and code", async () => {
    const { printer, rpc: calls, points, close } = observed(() => new Promise(() => undefined));
    const { name } = await printer.print({});
    await calls.getOperation({ name });
    await calls.waitOperation({ name, timeout: { seconds: 0n } });
    await calls.getOperation({ name: "operations/unknown" }).catch(() => undefined);
    const counted = await points("rpcs");
    for (const expected of [
      [rpc(method, "OK"), 1],
      [rpc("GetOperation", "OK"), 1],
      [rpc("GetOperation", "NOT_FOUND"), 1],
      [rpc("WaitOperation", "OK"), 1],
      [rpc("CancelOperation", "OK"), 0],
    ]) {
      expect(counted).toContainEqual(expected);
    }
    await close();
  });
});
