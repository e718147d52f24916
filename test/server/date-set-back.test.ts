import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createManualClock, type ManualClock } from "../../src/testing/index.js";
import { reasonOf } from "../support/operation-end.js";
import type { PrintWork } from "../support/print-server.js";
import { createPrintServer, Print, type PrintServerOptions } from "../support/print-server.js";
import { untilAborted } from "../support/print-work.js";
import { rejectionOf } from "../support/rejection.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

const hourMs = 3_600_000;

const stores: readonly [title: string, create: (clock: ManualClock) => Promise<OperationStore>][] =
  [
    ["memory", async (clock) => createMemoryStore({ clock })],
    [
      "SQLite",
      async (clock) => {
        const path = join(await createTemporaryFolder(), "operations.db");
        return createSqliteStore({ path, clock });
      },
    ],
  ];

describe.each(stores)("a date that is set back by an hour, with the %s store", (_, create) => {
  async function serve(work: PrintWork, options: PrintServerOptions = {}) {
    const clock = createManualClock();
    const store = await create(clock);
    const server = createPrintServer(work, { ...options, clock, store });
    onTestFinished(async () => {
      const closed = server.operations.shutdown({ graceMs: 0 });
      await clock.advance(2000);
      await closed;
    });
    return { ...server, clock, setBack: () => clock.setDate(clock.nowMs() - hourMs) };
  }

  it("does not prolong a WaitOperation call", async () => {
    const { client, operations, clock, setBack } = await serve(untilAborted);
    const { name } = await operations.create(Print, {});
    let response: unknown;
    const waiting = client.wait(name, 10_000).then((operation) => {
      response = operation;
    });
    await clock.advance(4000);
    setBack();
    await clock.advance(5999);
    expect(response).toBeUndefined();
    await clock.advance(1);
    await waiting;
    expect(response).toMatchObject({ name, done: false });
  });

  it("does not hold back a report of progress", async () => {
    const { operations, client, clock, setBack } = await serve((operation) => {
      operation.report({ pagesPrinted: 1 });
      operation.report({ pagesPrinted: 2 });
      return untilAborted(operation);
    });
    const { name } = await operations.start(Print, {});
    await clock.advance(10);
    setBack();
    const first = (await client.get(name)).metadata?.value;
    await clock.advance(60_000);
    const second = (await client.get(name)).metadata?.value;
    expect(first).toBeDefined();
    expect(second).not.toEqual(first);
  });

  it("does not hold back the next attempt", async () => {
    let attempts = 0;
    const { operations, client, clock, setBack } = await serve(
      () => {
        attempts += 1;
        if (attempts === 1) throw new ConnectError("away", Code.Unavailable);
        return { pages: 1 };
      },
      { method: { retry: { maxAttempts: 2, initialDelayMs: 10_000 } } },
    );
    const { name } = await operations.start(Print, {});
    await clock.advance(5000);
    setBack();
    await clock.advance(5000);
    expect(attempts).toBe(2);
    expect((await client.get(name)).result.case).toBe("response");
  });

  it.each([
    ["before the start", 0],
    ["while it runs", 2000],
  ])("does not put off the deadline of an operation: %s", async (_when, elapsedMs) => {
    const { operations, client, clock, setBack } = await serve(untilAborted, {
      method: { deadlineMs: 5000 },
    });
    // A first operation brings the store's time to the old date.
    await operations.create(Print, {});
    if (elapsedMs === 0) setBack();
    const { name } = await operations.start(Print, {});
    await clock.advance(elapsedMs);
    if (elapsedMs > 0) setBack();
    await clock.advance(4999 - elapsedMs);
    expect((await client.get(name)).done).toBe(false);
    await clock.advance(1);
    expect(reasonOf(await client.get(name))).toBe("OPERATION_DEADLINE_EXCEEDED");
  });

  it("does not prolong the retention of an operation", async () => {
    const { operations, client, clock, setBack } = await serve(untilAborted, {
      retentionMs: 60_000,
    });
    const { name } = await operations.create(Print, {});
    await operations.succeed(Print, name, {});
    await clock.advance(30_000);
    setBack();
    await clock.advance(29_999);
    expect((await client.get(name)).done).toBe(true);
    await clock.advance(1);
    expect((await rejectionOf(client.get(name))).code).toBe(Code.NotFound);
  });
});
