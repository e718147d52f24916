import assert from "node:assert/strict";
import { createRouterTransport } from "@connectrpc/connect";
import { describe, it, onTestFinished } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import {
  connectPostgres,
  createPgBossDispatcher,
  createPostgresStore,
} from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { anInsert } from "../../support/an-insert.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print, type PrintWork } from "../../support/print-server.js";

async function aServer(url: string, work: PrintWork) {
  const requeued: string[] = [];
  const parts = await connectPostgres({
    connectionString: url,
    reconcileIntervalMs: 100,
    observer: { requeued: ({ name }) => requeued.push(name) },
  });
  const operations = createOperations({ ...parts, log: () => undefined });
  const transport = createRouterTransport((router) => {
    router.service(PrintService, { print: operations.handle(Print, work) });
    router.service(Operations, operations.service);
  });
  onTestFinished(() => operations.shutdown({ graceMs: 100 }));
  return { operations, printer: createLongRunningClient({ print: Print }, transport), requeued };
}

describe("An operation whose job is gone from the queue", () => {
  it("is requeued and ends if it was queued, under a name with a backslash too", async () => {
    const { url, pool } = await createTestDatabase();
    const starter = createOperations(await connectPostgres({ connectionString: url }));
    const names = [
      (await starter.start(Print, {})).name,
      (await starter.start(Print, {}, { parent: "printers/a\\b" })).name,
    ];
    await starter.shutdown();
    await pool.query("delete from longrunning_queue.job");
    const { printer, requeued } = await aServer(url, () => ({ pages: 7 }));
    for (const name of names) {
      assert.equal((await (await printer.print.resume(name)).result()).pages, 7);
    }
    assert.deepEqual(requeued.toSorted(), names.toSorted());
  });

  it("is requeued if its attempt was running, which loses it", async () => {
    const { url, pool } = await createTestDatabase();
    const began = createDeferred();
    const { printer, requeued } = await aServer(url, async ({ attempt, signal }) => {
      if (attempt > 1) return { pages: attempt };
      began.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    });
    const handle = await printer.print({});
    await began.promise;
    await pool.query("delete from longrunning_queue.job");
    assert.equal((await handle.result()).pages, 2);
    assert.deepEqual(requeued, [handle.name]);
  });

  it("is requeued once by several processes, and those with a job or from outside not at all", async () => {
    const { url, pool } = await createTestDatabase();
    const method = "printing.v1.PrintService/Print";
    const [parts, ...others] = await Promise.all(
      [1, 2, 3].map(() => connectPostgres({ connectionString: url })),
    );
    assert.ok(parts !== undefined);
    const store = createPostgresStore({ pool });
    await parts.dispatcher.prepare?.(method);
    for (const name of ["operations/gone", "operations/outside"]) {
      await store.insert(anInsert({ name, method, external: name.endsWith("outside") }));
    }
    await store.transaction(async (transaction) => {
      await store.insert(anInsert({ name: "operations/kept", method }), { transaction });
      await parts.dispatcher.dispatch([{ name: "operations/kept", method }], { transaction });
    });
    const requeued: string[] = [];
    const delivered: string[] = [];
    const dispatchers = [1, 2, 3].map(() =>
      createPgBossDispatcher({
        pool,
        operationsSchema: "longrunning",
        reconcileIntervalMs: 20,
        observer: { requeued: ({ name }) => requeued.push(name) },
      }),
    );
    const both = createDeferred();
    const end = createDeferred();
    for (const dispatcher of dispatchers) {
      dispatcher.serve(method, async ({ name }) => {
        delivered.push(name);
        if (delivered.length === 2) both.resolve();
        await end.promise;
        return { kind: "settled" };
      });
    }
    await both.promise;
    // Ten passes of each.
    await new Promise((resolve) => setTimeout(resolve, 400));
    end.resolve();
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()));
    for (const { dispatcher, signals, store: opened } of [parts, ...others]) {
      await dispatcher.stop();
      await Promise.all([signals.close(), opened.close()]);
    }
    assert.deepEqual(requeued, ["operations/gone"]);
    assert.deepEqual(delivered.toSorted(), ["operations/gone", "operations/kept"]);
  });
});
