import {
  Code,
  ConnectError,
  createClient,
  createConnectRouter,
  createRouterTransport,
} from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { longRunning } from "../../src/index.js";
import { createMcpHandler } from "../../src/mcp/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import {
  ComputeMetadataSchema,
  ComputeResponseSchema,
  ToolingService,
} from "../gen/tooling/v1/tooling_pb.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { untilAborted } from "../support/print-work.js";
import { createPrintMcp, idle, settled } from "./support/mcp-client.js";

const print = "PrintService_Print";

const Compute = longRunning(ToolingService.method.compute, {
  response: ComputeResponseSchema,
  metadata: ComputeMetadataSchema,
});

describe("a long-running tool without tasks", () => {
  it("mcp 33: answers with the result of work that ends in time", async () => {
    const { call, clock } = createPrintMcp(async ({ request, report }) => {
      report({ pagesPrinted: request.pages });
      return { pages: request.pages };
    });
    const { result } = await settled(clock, call(print, { pages: 3 }));
    expect(result.isError).toBe(false);
    expect(result.structuredContent).toMatchObject({
      done: true,
      state: "succeeded",
      metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 3 },
      response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 3 },
    });
  });

  it("mcp 33: answers after waitMs while the work still runs", async () => {
    const { call, clock } = createPrintMcp(untilAborted, { mcp: { waitMs: 5000 } });
    const startMs = clock.nowMs();
    const answer = await settled(clock, call(print, { pages: 3 }));
    expect(clock.nowMs() - startMs).toBeLessThanOrEqual(6000);
    expect(answer.result.structuredContent).toMatchObject({ done: false, state: "running" });
  });

  it("mcp 34: names the next call in a result that is not an error", async () => {
    const { call, clock } = createPrintMcp(untilAborted, { mcp: { waitMs: 0 } });
    const { result } = await settled(clock, call(print, {}));
    expect(result.isError).toBe(false);
    const { operation, next } = result.structuredContent as Record<string, unknown>;
    expect(operation).toMatch(/^operations\//);
    expect(next).toEqual({ tool: "operation_wait", arguments: { operation } });
  });

  it("mcp 35: holds operation_wait for 50 seconds, however much is asked", async () => {
    const { call, clock } = createPrintMcp(untilAborted, { mcp: { waitMs: 0 } });
    const { operation } = (await call(print)).result.structuredContent as { operation: string };
    const startMs = clock.nowMs();
    const answer = await settled(clock, call("operation_wait", { operation, seconds: 3600 }));
    expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(49_000);
    expect(clock.nowMs() - startMs).toBeLessThanOrEqual(52_000);
    expect(answer.result.structuredContent).toMatchObject({ done: false });
  });

  it("mcp 36: sends progress that rises strictly and stops with the answer", async () => {
    const pages = [createDeferred(), createDeferred(), createDeferred()];
    const { call, clock } = createPrintMcp(async ({ report }) => {
      for (const [at, page] of pages.entries()) {
        await page.promise;
        report({ pagesPrinted: at + 1 });
      }
      return { pages: 3 };
    });
    const answer = call(print, {}, { meta: { progressToken: "p1" } });
    for (const page of pages) {
      await idle();
      await clock.advance(3000);
      await idle();
      page.resolve();
    }
    const { messages, headers } = await settled(clock, answer);
    expect(headers.get("content-type")).toBe("text/event-stream");
    const last = messages.at(-1);
    const notifications = messages.slice(0, -1) as unknown as {
      method: string;
      params: { progressToken: string; progress: number };
    }[];
    expect(last).toHaveProperty("result.isError", false);
    expect(notifications.length).toBeGreaterThan(1);
    for (const { method, params } of notifications) {
      expect(method).toBe("notifications/progress");
      expect(params.progressToken).toBe("p1");
    }
    const values = notifications.map(({ params }) => params.progress);
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
  });

  it("mcp 36: tells the finished share although the first state has no metadata", async () => {
    const steps = [createDeferred(), createDeferred()];
    const { call, clock } = createPrintMcp(untilAborted, {
      routes(router, operations) {
        router.service(ToolingService, {
          compute: operations.handle(Compute, async ({ report }) => {
            for (const [at, step] of steps.entries()) {
              await step.promise;
              report({ progressPercent: 25 * (at + 1) });
            }
            return {};
          }),
        });
      },
    });
    const answer = call("ToolingService_Compute", {}, { meta: { progressToken: "p1" } });
    for (const step of steps) {
      await idle();
      await clock.advance(3000);
      await idle();
      step.resolve();
    }
    const { messages } = await settled(clock, answer);
    const shown = messages.slice(0, -1).map(({ params }) => params);
    expect(shown).toEqual([
      { progressToken: "p1", progress: 0 },
      { progressToken: "p1", progress: 0.25, total: 1, message: "25%" },
    ]);
  });

  it("mcp 37: shows a failed operation by operation_get, and fails operation_wait", async () => {
    const { call, clock } = createPrintMcp(
      async () => {
        throw new ConnectError("no paper", Code.FailedPrecondition);
      },
      { mcp: { waitMs: 0 } },
    );
    const { operation } = (await call(print)).result.structuredContent as { operation: string };
    const waited = (await settled(clock, call("operation_wait", { operation }))).result;
    expect(waited.isError).toBe(true);
    expect(waited.structuredContent).toMatchObject({
      state: "failed",
      error: { code: "FAILED_PRECONDITION", message: "no paper" },
    });
    const got = (await call("operation_get", { operation })).result;
    expect(got.isError).toBe(false);
    expect(got.structuredContent).toMatchObject({ state: "failed" });
  });

  it("answers with a JSON-RPC error if the operation's error says that the server broke", async () => {
    const { call, clock } = createPrintMcp(async () => {
      throw new ConnectError("disk on fire", Code.DataLoss);
    });
    const { error } = await settled(clock, call(print));
    expect(error).toEqual({ code: -32603, message: "DATA_LOSS: disk on fire" });
  });

  it("mcp 38: answers operation_cancel with the state after the request", async () => {
    const stop = createDeferred();
    const { call, clock } = createPrintMcp(
      async () => {
        await stop.promise;
        return { pages: 1 };
      },
      { mcp: { waitMs: 0 } },
    );
    const { operation } = (await call(print)).result.structuredContent as { operation: string };
    await idle();
    const cancelled = (await call("operation_cancel", { operation })).result;
    expect(cancelled.isError).toBe(false);
    expect(cancelled.structuredContent).toMatchObject({ done: false, state: "running" });
    stop.resolve();
    await idle();
    await clock.advance(1000);
    await idle();
    const after = (await call("operation_get", { operation })).result;
    expect(after.structuredContent).toMatchObject({ done: true, state: "succeeded" });
  });

  it("mcp 39: refuses a router with long-running methods and without Operations", () => {
    const router = createConnectRouter();
    const operations = createOperations({ log: () => undefined });
    router.service(PrintService, { print: operations.handle(Print, untilAborted) });
    expect(() => createMcpHandler(router)).toThrow(/google\.longrunning\.Operations/);
  });

  it("lets the operation go on when the client disconnects", async () => {
    const { call, clock, operations } = createPrintMcp(untilAborted);
    const left = new AbortController();
    const answer = call(print, {}, { signal: left.signal });
    await idle();
    await clock.advance(2000);
    await idle();
    left.abort();
    expect((await answer).error.code).toBe(-32603);
    const [running] = (await operationsOf(operations)).operations;
    expect(running?.done).toBe(false);
  });

  it("cancels the operation when the client disconnects, if asked to", async () => {
    const { call, clock, operations } = createPrintMcp(untilAborted, {
      mcp: { onDisconnect: "cancel" },
    });
    const left = new AbortController();
    const answer = call(print, {}, { signal: left.signal });
    await idle();
    await clock.advance(2000);
    await idle();
    left.abort();
    await answer;
    await idle();
    await clock.advance(1000);
    await idle();
    const [ended] = (await operationsOf(operations)).operations;
    expect(ended?.done).toBe(true);
  });
});

/** Lists the operations of a server. */
function operationsOf(operations: ReturnType<typeof createOperations>) {
  const transport = createRouterTransport((router) => {
    router.service(Operations, operations.service);
  });
  return createClient(Operations, transport).listOperations({});
}
