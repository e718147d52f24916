import { createRouterTransport } from "@connectrpc/connect";
import { context, createTraceState, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { createServerObserver } from "../../../src/opentelemetry/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());

/** A replica with a tracer of its own. */
async function aReplica(connectionString: string) {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(spans)],
  });
  const operations = createOperations({
    ...(await connectPostgres({ connectionString })),
    pageTokenKey: new Uint8Array(32),
    observer: createServerObserver({ tracerProvider }),
  });
  onTestFinished(() => operations.shutdown({ graceMs: 1000 }));
  return { operations, spans, tracer: tracerProvider.getTracer("test") };
}

describe("a run on another replica than its start", () => {
  it("links to the span of the start, with its trace state, for each attempt", async () => {
    const { url } = await createTestDatabase();
    const starter = await aReplica(url);
    const worker = await aReplica(url);
    const transport = createRouterTransport((router) => {
      router.service(PrintService, {
        print: (request) => starter.operations.start(Print, request),
      });
      router.service(Operations, starter.operations.service);
    });
    worker.operations.handle(
      Print,
      ({ attempt }) => {
        if (attempt === 1) throw new Error("the tray is open");
        return { pages: attempt };
      },
      { retry: { initialDelayMs: 1, isRetryable: () => true } },
    );
    const { spanId, traceId } = starter.tracer.startSpan("start").spanContext();
    const traceState = createTraceState("rojo=1");
    const start = { traceId, spanId, traceFlags: 1, traceState };
    const handle = await context.with(trace.setSpanContext(ROOT_CONTEXT, start), () =>
      createLongRunningClient({ print: Print }, transport).print({}),
    );
    expect((await handle.result()).pages).toBe(2);
    await vi.waitFor(() => expect(worker.spans.getFinishedSpans()).toHaveLength(2));
    for (const run of worker.spans.getFinishedSpans()) {
      expect(run.spanContext().traceId).not.toBe(traceId);
      const [link] = run.links;
      expect(link?.context).toMatchObject({ traceId, spanId, traceFlags: 1, isRemote: true });
      expect(link?.context.traceState?.serialize()).toBe("rojo=1");
    }
    expect(starter.spans.getFinishedSpans()).toEqual([]);
  });
});
