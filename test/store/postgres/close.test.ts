import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, it, onTestFinished, vi } from "vitest";
import { createOperations } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { createDeferred } from "../../support/deferred.js";
import { type SeveringProxy, startSeveringProxy } from "../../support/postgres/severing-proxy.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print, type PrintWork } from "../../support/print-server.js";

const graceMs = 300;

/** The grace, the second after it, and half a second for a busy machine. */
const limitMs = graceMs + 1500;

/** A server over a proxy, with one operation that `work` runs. */
async function aServer(work: PrintWork) {
  const { url, pool } = await createTestDatabase();
  const proxy = await startSeveringProxy(url);
  onTestFinished(() => proxy.close());
  const operations = createOperations({
    ...(await connectPostgres({ connectionString: proxy.url })),
    log: () => undefined,
  });
  const began = createDeferred();
  operations.handle(Print, (op) => {
    began.resolve();
    return work(op);
  });
  const { name } = await operations.start(Print, {});
  await began.promise;
  const closed = async () => {
    const beganMs = performance.now();
    await operations.shutdown({ graceMs });
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < limitMs, `it took ${tookMs} ms`);
  };
  return { operations, proxy, pool, name, closed };
}

/** The proxy is in this process, so that it notices the end of a socket a moment later. */
async function noConnection({ connections }: SeveringProxy): Promise<void> {
  await vi.waitFor(() => assert.equal(connections(), 0), { timeout: 1000, interval: 5 });
}

const workThatEnds: PrintWork = async ({ signal }) => {
  await sleep(600_000, undefined, { signal }).catch(() => undefined);
  throw signal.reason;
};

describe("The close of a server on PostgreSQL", () => {
  it("is over a second after the grace if the database answers no statement", async () => {
    const { proxy, closed, operations, name } = await aServer(workThatEnds);
    proxy.hold();
    const statement = operations
      .fail(name, new ConnectError("failed", Code.Internal))
      .catch(() => undefined);
    await closed();
    await noConnection(proxy);
    await statement;
  });

  it("is over a second after the grace if another session has locked the operation", async () => {
    const { pool, closed, proxy, name } = await aServer(workThatEnds);
    const client = await pool.connect();
    await client.query("begin");
    await client.query("select from longrunning.operations where name = $1 for update", [name]);
    await closed();
    await noConnection(proxy);
    await client.query("rollback");
    client.release();
  });

  it("renews nothing afterwards, although the work ignores its signal", async () => {
    const ended = createDeferred();
    const { pool, closed, proxy } = await aServer(async () => {
      await ended.promise;
      return { pages: 1 };
    });
    await closed();
    await noConnection(proxy);
    const heartbeat = async () =>
      (await pool.query("select heartbeat_on::text from longrunning_queue.job")).rows;
    const atClose = await heartbeat();
    assert.equal(atClose.length, 1);
    // A lease is renewed every third of its 10 seconds.
    await sleep(4000);
    assert.deepEqual(await heartbeat(), atClose);
    ended.resolve();
    await sleep(50);
    await noConnection(proxy);
  });
});
