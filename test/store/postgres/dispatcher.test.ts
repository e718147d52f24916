import assert from "node:assert/strict";
import pg from "pg";
import { beforeAll, describe, it } from "vitest";
import type { Settlement } from "../../../src/store/dispatcher.js";
import {
  createNotificationListener,
  createPgBossDispatcher,
  createPostgresStore,
  migrate,
  type PgBossDispatcherOptions,
} from "../../../src/store/postgres/index.js";
import { dispatcherContract } from "../../../src/testing/index.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { watchedPool } from "../../support/postgres/watched-pool.js";

const settled: Settlement = { kind: "settled" };

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

function aDispatcher(options: Partial<PgBossDispatcherOptions> = {}) {
  return createPgBossDispatcher({ pool: database.pool, pollIntervalMs: 50, ...options });
}

function aListener() {
  return createNotificationListener({
    newClient: () => new pg.Client({ connectionString: database.url }),
  });
}

describe("Dispatcher on pg-boss", () => {
  for (const { title, run } of dispatcherContract) {
    it(title, () => run(aDispatcher()));
  }

  it("durability 3: delivers what was dispatched in a transaction, and nothing of one that was rolled back", async () => {
    const store = createPostgresStore({ pool: database.pool });
    const dispatcher = aDispatcher();
    const method = "test.v1.Service/RolledBack";
    const delivered = createDeferred<string>();
    dispatcher.serve(method, async ({ name }) => {
      delivered.resolve(name);
      return settled;
    });
    const rolledBack = store.transaction(async (transaction) => {
      await dispatcher.dispatch([{ name: "operations/a", method }], { transaction });
      throw new Error("roll back");
    });
    await assert.rejects(rolledBack, { message: "roll back" });
    await store.transaction(async (transaction) => {
      await dispatcher.dispatch([{ name: "operations/b", method }], { transaction });
    });
    assert.equal(await delivered.promise, "operations/b");
    await dispatcher.stop();
  });

  it("takes part in a transaction that has the last connection, with a method that is new to it", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    const store = createPostgresStore({ pool });
    const dispatcher = aDispatcher({ pool, maintenancePool: database.pool });
    const operation = { name: "operations/a", method: "test.v1.Service/LastConnection" };
    await store.transaction((transaction) => dispatcher.dispatch([operation], { transaction }));
    const delivered = createDeferred<string>();
    dispatcher.serve(operation.method, async ({ name }) => {
      delivered.resolve(name);
      return settled;
    });
    assert.equal(await delivered.promise, operation.name);
    await dispatcher.stop();
    await pool.end();
  });

  it("inserts the operations of one method by one statement", async () => {
    const texts: string[] = [];
    const pool = watchedPool(database.pool, (text) => {
      texts.push(text);
    });
    const store = createPostgresStore({ pool });
    const dispatcher = aDispatcher({ pool });
    const method = "test.v1.Service/Together";
    const names = ["operations/a", "operations/b", "operations/c"];
    await dispatcher.prepare?.(method);
    texts.length = 0;
    const operations = names.map((name) => ({ name, method }));
    await store.transaction((transaction) => dispatcher.dispatch(operations, { transaction }));
    assert.equal(texts.filter((text) => /insert into longrunning_queue/i.test(text)).length, 1);
    const delivered: string[] = [];
    const all = createDeferred();
    dispatcher.serve(method, async ({ name }) => {
      delivered.push(name);
      if (delivered.length === names.length) all.resolve();
      return settled;
    });
    await all.promise;
    await dispatcher.stop();
    assert.deepEqual(delivered.toSorted(), names);
  });

  it("is woken by a notification, long before it would poll", async () => {
    const listener = aListener();
    const pollIntervalMs = 3_600_000;
    const worker = aDispatcher({ listener, pollIntervalMs });
    const starter = aDispatcher({ pollIntervalMs });
    const method = "test.v1.Service/Woken";
    const [first, second] = [createDeferred(), createDeferred()];
    worker.serve(method, async ({ name }) => {
      (name === "operations/first" ? first : second).resolve();
      return settled;
    });
    // The first may be found by the poll at the start; then the worker listens.
    await starter.dispatch([{ name: "operations/first", method }]);
    await first.promise;
    await starter.dispatch([{ name: "operations/second", method }]);
    await second.promise;
    await Promise.all([worker.stop(), starter.stop()]);
    await listener.close();
  });

  it("gives what is handed over to another process at once", async () => {
    const [one, other] = [aDispatcher(), aDispatcher()];
    const method = "test.v1.Service/HandedOver";
    const [taken, stopped] = [createDeferred(), createDeferred()];
    one.serve(method, async () => {
      taken.resolve();
      await stopped.promise;
      return { kind: "handover" };
    });
    await one.dispatch([{ name: "operations/a", method }]);
    await taken.promise;
    const stopping = one.stop();
    const delivered = createDeferred<string>();
    other.serve(method, async ({ name }) => {
      delivered.resolve(name);
      return settled;
    });
    stopped.resolve();
    assert.equal(await delivered.promise, "operations/a");
    await Promise.all([stopping, other.stop()]);
  });

  it("runs no more side by side than it may", async () => {
    const dispatcher = aDispatcher({ maxConcurrent: 2 });
    const method = "test.v1.Service/Bounded";
    const gates = Array.from({ length: 4 }, () => createDeferred());
    const started = Array.from({ length: 4 }, () => createDeferred());
    let running = 0;
    let most = 0;
    let count = 0;
    dispatcher.serve(method, async () => {
      const at = count;
      count += 1;
      running += 1;
      most = Math.max(most, running);
      started[at]?.resolve();
      await gates[at]?.promise;
      running -= 1;
      return settled;
    });
    for (const at of gates.keys()) {
      await dispatcher.dispatch([{ name: `operations/${at}`, method }]);
    }
    await started[1]?.promise;
    for (const gate of gates) gate.resolve();
    await Promise.all(started.map(({ promise }) => promise));
    await dispatcher.stop();
    assert.equal(most, 2);
  });

  it("runs no more of one method side by side than that may", async () => {
    const dispatcher = aDispatcher();
    const method = "test.v1.Service/Narrow";
    const gate = createDeferred();
    const [first, last] = [createDeferred(), createDeferred()];
    const counts: number[] = [];
    let running = 0;
    dispatcher.serve(
      method,
      async () => {
        running += 1;
        counts.push(running);
        (counts.length === 1 ? first : counts.length === 3 ? last : createDeferred()).resolve();
        await gate.promise;
        running -= 1;
        return settled;
      },
      { maxConcurrent: 1 },
    );
    for (const at of [0, 1, 2]) await dispatcher.dispatch([{ name: `operations/${at}`, method }]);
    await first.promise;
    gate.resolve();
    await last.promise;
    await dispatcher.stop();
    assert.deepEqual(counts, [1, 1, 1]);
  });

  it("has tenants take turns, however much one of them has queued", async () => {
    const dispatcher = aDispatcher({ maxConcurrent: 1 });
    const method = "test.v1.Service/Fair";
    const queued: [tenant: string, name: string][] = [
      ["many", "operations/many-1"],
      ["many", "operations/many-2"],
      ["many", "operations/many-3"],
      ["few", "operations/few-1"],
      ["other", "operations/other-1"],
    ];
    for (const [tenant, name] of queued) await dispatcher.dispatch([{ name, method, tenant }]);
    const names: string[] = [];
    const all = createDeferred();
    dispatcher.serve(method, async ({ name }) => {
      names.push(name);
      if (names.length === queued.length) all.resolve();
      return settled;
    });
    await all.promise;
    await dispatcher.stop();
    assert.deepEqual(names, [
      "operations/many-1",
      "operations/few-1",
      "operations/other-1",
      "operations/many-2",
      "operations/many-3",
    ]);
  });

  it("keeps no job of an operation that is settled", async () => {
    const dispatcher = aDispatcher();
    const method = "test.v1.Service/Removed";
    const ran = createDeferred();
    dispatcher.serve(method, async () => {
      ran.resolve();
      return settled;
    });
    await dispatcher.dispatch([{ name: "operations/a", method }]);
    await ran.promise;
    await dispatcher.stop();
    const { rows } = await database.pool.query(
      "select state from longrunning_queue.job where name = $1",
      [method],
    );
    assert.deepEqual(rows, []);
  });

  it("refuses a start with UNAVAILABLE while it cannot be set up", async () => {
    const pool = new pg.Pool({ host: "127.0.0.1", port: 1 });
    const dispatcher = aDispatcher({ pool });
    const dispatched = dispatcher.dispatch([{ name: "operations/a", method: "test.v1.Service/M" }]);
    await assert.rejects(dispatched, {
      message: "[unavailable] the database cannot be reached now",
    });
    await dispatcher.stop();
    await pool.end();
  });

  it("refuses options out of their bounds", () => {
    assert.throws(() => aDispatcher({ leaseSeconds: 9 }), {
      name: "RangeError",
      message: "leaseSeconds must be from 10 to 2147483.647, not 9",
    });
    assert.throws(() => aDispatcher({ maxConcurrent: 0 }), { name: "RangeError" });
    assert.throws(() => aDispatcher({ schema: 'a"b' }), { name: "RangeError" });
  });
});
