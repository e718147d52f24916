import { describe, expect, it } from "vitest";
import { BindService } from "../gen/binding/v1/binding_pb.js";
import { BindBook } from "../support/bind-server.js";
import { untilAborted } from "../support/print-work.js";
import { createPrintMcp, idle } from "./support/mcp-client.js";

const withTasks = { tasks: true };
const retentionMs = 3_600_000;

interface TaskTimes {
  readonly taskId: string;
  readonly createdAt: string;
  readonly lastUpdatedAt: string;
  readonly ttlMs: number | null;
}

/** Work that ends after a number of seconds, which a report precedes by a second. */
const printFor =
  (mcp: () => ReturnType<typeof createPrintMcp>, seconds: number) =>
  async ({ report }: { report(metadata: { pagesPrinted: number }): void }) => {
    const { clock } = mcp();
    await new Promise<void>((resolve) => clock.schedule((seconds - 1) * 1000, resolve));
    report({ pagesPrinted: 1 });
    await new Promise<void>((resolve) => clock.schedule(1000, resolve));
    return { pages: 1 };
  };

async function pass(mcp: ReturnType<typeof createPrintMcp>, seconds: number) {
  for (let second = 0; second < seconds; second += 1) {
    await idle();
    await mcp.clock.advance(1000);
  }
  await idle();
}

const iso = (ms: number) => new Date(ms).toISOString();

describe("the times of a task", () => {
  it("come from the record of the server in this process", async () => {
    const mcp = createPrintMcp(
      printFor(() => mcp, 10),
      { operations: { retentionMs } },
    );
    const startMs = mcp.clock.nowMs();
    const { result } = await mcp.call("PrintService_Print", {}, withTasks);
    const started = result as unknown as TaskTimes;
    const { taskId } = started;
    expect(started).toMatchObject({ createdAt: iso(startMs), lastUpdatedAt: iso(startMs) });
    const read = async () =>
      (await mcp.send("tasks/get", { taskId }, withTasks)).result as unknown as TaskTimes;

    await pass(mcp, 5);
    expect((await read()).lastUpdatedAt).toBe(iso(startMs));
    await pass(mcp, 4);
    const { createdAt, lastUpdatedAt, ttlMs } = await read();
    expect({ createdAt, lastUpdatedAt, ttlMs }).toEqual({
      createdAt: iso(startMs),
      lastUpdatedAt: iso(startMs + 9000),
      ttlMs: null,
    });
    await pass(mcp, 20);
    expect(await read()).toMatchObject({
      status: "completed",
      createdAt: iso(startMs),
      lastUpdatedAt: iso(startMs + 10_000),
      ttlMs: retentionMs + 10_000,
    });
  });

  it("come from the standard fields of the metadata without that server", async () => {
    const mcp = createPrintMcp(untilAborted, {
      operations: { retentionMs },
      mcp: { operations: undefined },
      routes(router, operations) {
        router.service(BindService, {
          bindBook: operations.handle(BindBook, async () => {
            await new Promise<void>((resolve) => mcp.clock.schedule(10_000, resolve));
            return { name: "books/1" };
          }),
        });
      },
    });
    const startMs = mcp.clock.nowMs();
    const { result } = await mcp.call("BindService_BindBook", {}, withTasks);
    const { taskId } = result as unknown as TaskTimes;
    await pass(mcp, 30);
    expect((await mcp.send("tasks/get", { taskId }, withTasks)).result).toMatchObject({
      status: "completed",
      createdAt: iso(startMs),
      lastUpdatedAt: iso(startMs + 10_000),
      ttlMs: retentionMs + 10_000,
    });
  });

  it("are those of the name and the present without either", async () => {
    const mcp = createPrintMcp(untilAborted, { mcp: { operations: undefined } });
    const startMs = mcp.clock.nowMs();
    const started = (await mcp.call("PrintService_Print", {}, withTasks))
      .result as unknown as TaskTimes;
    const { taskId } = started;
    // The first 48 bits of a UUIDv7 are milliseconds (RFC 9562, 5.7).
    const named = Number.parseInt(taskId.replaceAll("-", "").slice("operations/".length, 23), 16);
    expect(started.createdAt).toBe(iso(named));
    await pass(mcp, 7);
    expect((await mcp.send("tasks/get", { taskId }, withTasks)).result).toMatchObject({
      createdAt: started.createdAt,
      lastUpdatedAt: iso(startMs + 7000),
      ttlMs: null,
    });
  });

  it("do not keep the task from its client if the record cannot be read", async () => {
    const timesOf = async () => {
      throw new Error("the database is away");
    };
    const mcp = createPrintMcp(untilAborted, { mcp: { operations: { timesOf } } });
    const { result } = await mcp.call("PrintService_Print", {}, withTasks);
    expect(result).toMatchObject({ resultType: "task", status: "working" });
  });
});
