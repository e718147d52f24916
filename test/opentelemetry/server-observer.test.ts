import { Code, ConnectError } from "@connectrpc/connect";
import { context, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, assert, beforeAll, describe, expect, it } from "vitest";
import { createServerObserver } from "../../src/opentelemetry/index.js";
import {
  createPrintServer,
  type PrintServerOptions,
  type PrintWork,
} from "../support/print-server.js";

const method = "printing.v1.PrintService/Print";

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());

/** A server that is observed, and what its spans and metrics say. */
function observed(work: PrintWork, options: PrintServerOptions = {}) {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(spans)],
  });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const observer = createServerObserver({ tracerProvider, meterProvider });
  const server = createPrintServer(work, { ...options, observer });
  /** The points of one metric: attributes, and the value or the sum of the histogram. */
  const points = async (name: string) => {
    const { resourceMetrics } = await reader.collect();
    const found = resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .find(({ descriptor }) => descriptor.name === `connect_longrunning.${name}`);
    return found?.dataPoints.map(({ attributes, value }) => [
      attributes,
      typeof value === "number" ? value : value.sum,
    ]);
  };
  return {
    ...server,
    observer,
    tracer: tracerProvider.getTracer("test"),
    runs: () => spans.getFinishedSpans().filter(({ name }) => name.endsWith(" run")),
    points,
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
      name: `${method} run`,
      parentSpanContext: undefined,
      status: { code: SpanStatusCode.UNSET },
      links: [{ context: start.spanContext() }],
      attributes: { "gcp.resource.destination.id": name, "connect_longrunning.attempt": 1 },
    });
    expect(active).toBe(run.spanContext().spanId);
    await close();
  });

  it("says of work that threw what it was, attempt by attempt", async () => {
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

  it("keeps the number of waiters and the depth of the queue", async () => {
    const { observer, points, close } = observed(() => ({}));
    for (const count of [1, 2, 3, 1]) observer.waitersChanged?.(count);
    for (const depth of [5, 2]) observer.queueDepthChanged?.(depth);
    expect(await points("waiters")).toEqual([[{}, 1]]);
    expect(await points("queue.depth")).toEqual([[{}, 2]]);
    await close();
  });

  it("does nothing where neither tracer nor meter is registered", async () => {
    const { printer, clock, client } = createPrintServer(() => ({ pages: 1 }), {
      observer: createServerObserver(),
    });
    const { name } = await printer.print({});
    await clock.advance(0);
    expect((await client.get(name)).result.case).toBe("response");
  });
});
