import assert from "node:assert/strict";
import { once } from "node:events";
import type { ConnectRouter } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { beforeAll, describe, it } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { createServer } from "../../../src/node/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations, type Work } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import {
  type PrintMetadataSchema,
  type PrintRequestSchema,
  type PrintResponseSchema,
  PrintService,
} from "../../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { startRoundRobinProxy } from "../../support/round-robin-proxy.js";

type PrintWork = Work<
  typeof PrintRequestSchema,
  typeof PrintResponseSchema,
  typeof PrintMetadataSchema
>;

describe("createServer().close() of one of two replicas on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  }, 60_000);

  const startReplica = async (work: PrintWork, observer = {}) => {
    const parts = await connectPostgres({ connectionString: database.url });
    const operations = createOperations({ ...parts, observer });
    const print = operations.handle(Print, work);
    const routes = (router: ConnectRouter) => {
      router.service(Operations, operations.service);
      router.service(PrintService, { print });
    };
    const server = createServer({ routes, operations });
    return { server, operations, ...(await server.listen()) };
  };

  it("hands the work over, and the waits go to the other without an error", async () => {
    let waits = 0;
    let onWaits = () => {};
    const observer = {
      waitersChanged(count: number) {
        waits = count;
        onWaits();
      },
    };
    // The first replica runs work that never ends by itself, the second one ends it at once.
    const first = await startReplica(
      ({ signal }) =>
        new Promise((_, reject) => {
          const stop = () => reject(signal.reason);
          if (signal.aborted) stop();
          else signal.addEventListener("abort", stop);
        }),
      observer,
    );
    const ports = [first.port];
    const proxy = await startRoundRobinProxy(ports);
    const baseUrl = `http://127.0.0.1:${proxy.port}`;
    const transports = [
      createGrpcTransport({ baseUrl }),
      createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    ];
    const results = transports.flatMap((transport) => {
      const client = createLongRunningClient({ print: Print }, transport);
      return Array.from({ length: 20 }, async () => (await client.print({})).result());
    });
    await new Promise<void>((resolve) => {
      onWaits = () => waits === results.length && resolve();
      onWaits();
    });
    const second = await startReplica(() => ({ pages: 2 }));
    ports.push(second.port);
    const aborted = once(first.operations.draining, "abort");
    const closed = first.server.close({ graceMs: 500 });
    await aborted;
    for (const result of results) assert.equal((await result).pages, 2);
    await closed;
    const { rows } = await database.pool.query(
      "select count(*)::int as count, max(attempt - handovers) as attempts from longrunning.operations where state = 'done'",
    );
    // A handover uses up no attempt.
    assert.deepEqual(rows, [{ count: results.length, attempts: 1 }]);
    await second.server.close({ graceMs: 0 });
    await proxy.close();
  }, 60_000);

  it("takes a second more than the grace while a row is locked and work ignores its signal, and renews no lease after it", async () => {
    const claimed = createDeferred<string>();
    const { server, operations } = await startReplica(({ name }) => {
      claimed.resolve(name);
      return new Promise(() => undefined);
    });
    await operations.start(Print, {});
    const name = await claimed.promise;
    const locker = await database.pool.connect();
    await locker.query("begin");
    await locker.query("select from longrunning.operations where name = $1 for update", [name]);
    const startMs = performance.now();
    await server.close({ graceMs: 500 });
    const tookMs = performance.now() - startMs;
    // Half a second is for a busy machine.
    assert.ok(tookMs < 2000, `closed after ${tookMs} ms`);
    await locker.query("rollback");
    locker.release();
    // This process lives on. Another replica gets the operation when its lease is over.
    const taken = createDeferred<number>();
    const other = await startReplica(({ attempt }) => {
      taken.resolve(attempt);
      return {};
    });
    assert.equal(await taken.promise, 2);
    await other.server.close({ graceMs: 0 });
  }, 60_000);
});
