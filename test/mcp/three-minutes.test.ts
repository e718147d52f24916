import { describe, expect, it } from "vitest";
import { createPrintMcp, settled } from "./support/mcp-client.js";

const seconds = 180;

/** Clients of both SDKs give up after this time. */
const clientTimeoutMs = 60_000;

/** An endpoint whose one tool works for three minutes and reports each second. */
function createSlowMcp() {
  const mcp = createPrintMcp(async ({ report }) => {
    for (let printed = 1; printed <= seconds; printed += 1) {
      await new Promise<void>((resolve) => mcp.clock.schedule(1000, resolve));
      report({ pagesPrinted: printed });
    }
    return { pages: seconds };
  });
  return mcp;
}

describe("a job of three minutes", () => {
  it("ends for a client that makes the calls which the answers name", async () => {
    const { call, clock } = createSlowMcp();
    const startMs = clock.nowMs();
    let next: { tool: string; arguments: { operation: string } } | undefined;
    const operations = new Set<string>();
    let answer: Record<string, unknown>;
    let calls = 0;
    do {
      const sentMs = clock.nowMs();
      const sent: Promise<{ result: Record<string, unknown> }> =
        next === undefined ? call("PrintService_Print") : call(next.tool, next.arguments);
      answer = (await settled(clock, sent)).result.structuredContent as Record<string, unknown>;
      calls += 1;
      expect(clock.nowMs() - sentMs).toBeLessThan(clientTimeoutMs / 2);
      operations.add(String(answer.operation));
      next = answer.next as typeof next;
    } while (next !== undefined && calls < 100);
    expect(answer).toMatchObject({ done: true, response: { pages: seconds } });
    expect(operations.size).toBe(1);
    expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(seconds * 1000);
    // Each call waits 25 s.
    expect(calls).toBeLessThanOrEqual(Math.ceil(seconds / 25) + 1);
  });

  it("ends for a client that polls its task at the intervals of the answers", async () => {
    const { call, clock, send } = createSlowMcp();
    let task = (await call("PrintService_Print", {}, { tasks: true })).result as Task;
    const { taskId } = task;
    let polls = 0;
    while (task.status === "working" && polls < 1000) {
      await clock.advance(task.pollIntervalMs ?? 0);
      const read = await settled(clock, send("tasks/get", { taskId }, { tasks: true }));
      task = read.result as Task;
      polls += 1;
    }
    expect(task).toMatchObject({
      taskId,
      status: "completed",
      result: { structuredContent: { done: true, response: { pages: seconds } } },
    });
    // Each second in the first minute, then every fifth second.
    expect(polls).toBeLessThanOrEqual(60 + (seconds - 60) / 5 + 2);
  });
});

interface Task {
  readonly [member: string]: unknown;
  readonly taskId: string;
  readonly status: string;
  readonly pollIntervalMs?: number;
}
