import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createPrintServer, Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";

const never = () => new Promise<never>(() => undefined);
const dayMs = 24 * 60 * 60 * 1000;

describe("retention", () => {
  it("server 88: ends 30 days after the end, and never before it", async () => {
    const { operations, client, clock } = createPrintServer(never);
    const { name } = await operations.create(Print, {});
    const running = await operations.create(Print, {});
    await clock.advance(100 * dayMs);
    await operations.succeed(Print, name, {});
    await clock.advance(30 * dayMs - 1);
    expect((await client.get(name)).done).toBe(true);
    await clock.advance(1);
    expect((await rejectionOf(client.get(name))).code).toBe(Code.NotFound);
    expect((await client.get(running.name)).done).toBe(false);
  });

  it("server 30: an expired operation is NOT_FOUND to wait for, to cancel and to delete", async () => {
    const { operations, rpc, clock } = createPrintServer(never, { retentionMs: 1000 });
    const { name } = await operations.create(Print, {});
    await operations.succeed(Print, name, {});
    await clock.advance(1001);
    for (const call of [
      () => rpc.waitOperation({ name }),
      () => rpc.cancelOperation({ name }),
      () => rpc.deleteOperation({ name }),
    ]) {
      expect((await rejectionOf(call())).code).toBe(Code.NotFound);
    }
    expect((await rpc.listOperations({})).operations).toEqual([]);
  });

  it("shows in the times of the record, for the program alone", async () => {
    const { operations, clock } = createPrintServer(never, { retentionMs: 1000 });
    const { name } = await operations.create(Print, {});
    const createTimeMs = clock.nowMs();
    await clock.advance(2000);
    await operations.report(Print, name, { pagesPrinted: 1 });
    expect(await operations.timesOf(name)).toEqual({
      createTimeMs,
      updateTimeMs: createTimeMs + 2000,
      expireTimeMs: undefined,
    });
    await clock.advance(3000);
    await operations.succeed(Print, name, {});
    expect(await operations.timesOf(name)).toEqual({
      createTimeMs,
      updateTimeMs: createTimeMs + 5000,
      expireTimeMs: createTimeMs + 6000,
    });
    await clock.advance(1001);
    expect(await operations.timesOf(name)).toBeUndefined();
  });
});
