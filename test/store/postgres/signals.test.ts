import assert from "node:assert/strict";
import pg from "pg";
import { beforeAll, describe, it } from "vitest";
import {
  createNotificationListener,
  createPostgresSignals,
  createPostgresStore,
  migrate,
  type PostgresObserver,
} from "../../../src/store/postgres/index.js";
import type { SignalKind } from "../../../src/store/signals.js";
import { signalsContract } from "../../../src/testing/index.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

const listenerName = "signals-test-listener";

function someSignals(
  given: { observer?: PostgresObserver; notify?: boolean; keepAliveIntervalMs?: number } = {},
) {
  const { pool, url } = database;
  const { notify, ...rest } = given;
  const listener = createNotificationListener({
    newClient: () => new pg.Client({ connectionString: url, application_name: listenerName }),
    ...rest,
  });
  return createPostgresSignals({ pool, listener, notify });
}

/** Cut the connections of all listeners of this file. */
async function cutListeners(): Promise<void> {
  const { rows } = await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = $1 and datname = current_database()`,
    [listenerName],
  );
  assert.ok(rows.length > 0, "there is a listener to cut");
}

describe("Signals by LISTEN and NOTIFY", () => {
  for (const { title, run } of signalsContract) {
    it(title, async () => {
      const signals = someSignals();
      await run(signals);
      await signals.close();
    });
  }

  it("reach this process without a listener, once their transaction has committed", async () => {
    const signals = createPostgresSignals({ pool: database.pool });
    const store = createPostgresStore({ pool: database.pool });
    const kinds: SignalKind[] = [];
    await signals.subscribe("operations/near", (kind) => kinds.push(kind));
    await signals.publish("operations/near", "cancel-requested");
    await store.transaction(async (transaction) => {
      await signals.publish("operations/near", "done", { transaction });
      assert.deepEqual(kinds, ["cancel-requested"]);
    });
    assert.deepEqual(kinds, ["cancel-requested", "done"]);
    await signals.close();
  });

  it("reach the subscribers of another process", async () => {
    const [here, there] = [someSignals(), someSignals()];
    const heard = createDeferred<SignalKind>();
    await there.subscribe("operations/far", heard.resolve);
    await here.publish("operations/far", "done");
    assert.equal(await heard.promise, "done");
    await Promise.all([here.close(), there.close()]);
  });

  it("are sent when their transaction commits, and not if it is rolled back", async () => {
    const signals = someSignals();
    const store = createPostgresStore({ pool: database.pool });
    const kinds: SignalKind[] = [];
    const ended = createDeferred();
    await signals.subscribe("operations/a", (kind) => {
      kinds.push(kind);
      if (kind === "done") ended.resolve();
    });
    const rolledBack = store.transaction(async (transaction) => {
      await signals.publish("operations/a", "cancel-requested", { transaction });
      throw new Error("roll back");
    });
    await assert.rejects(rolledBack, { message: "roll back" });
    await store.transaction(async (transaction) => {
      await signals.publish("operations/a", "done", { transaction });
    });
    await ended.promise;
    assert.deepEqual(kinds, ["done"]);
    await signals.close();
  });

  it("durability 14: have every subscriber look again after the connection was lost", async () => {
    const lost = createDeferred();
    const restored = createDeferred();
    const signals = someSignals({
      observer: { listenerLost: () => lost.resolve(), listenerRestored: () => restored.resolve() },
    });
    const [one, other] = [createDeferred<SignalKind>(), createDeferred<SignalKind>()];
    await signals.subscribe("operations/a", one.resolve);
    await signals.subscribe("operations/b", other.resolve);
    await cutListeners();
    await lost.promise;
    assert.deepEqual(await Promise.all([one.promise, other.promise]), ["missed", "missed"]);
    await restored.promise;
    const later = createDeferred<SignalKind>();
    await signals.subscribe("operations/c", later.resolve);
    await signals.publish("operations/c", "done");
    assert.equal(await later.promise, "done");
    await signals.close();
  });

  it("notice a session that answers and does not listen any more", async () => {
    const clients: pg.Client[] = [];
    const listener = createNotificationListener({
      newClient: () => {
        const client = new pg.Client({ connectionString: database.url });
        clients.push(client);
        return client;
      },
      keepAliveIntervalMs: 10,
    });
    const signals = createPostgresSignals({ pool: database.pool, listener });
    const heard = createDeferred<SignalKind>();
    await signals.subscribe("operations/a", heard.resolve);
    // A pooler in transaction mode does this between two statements.
    await clients[0]?.query("unlisten *");
    assert.equal(await heard.promise, "missed");
    await signals.close();
  });

  it("accept subscriptions while the listener is disconnected, and emit missed after the reconnect", async () => {
    let attempts = 0;
    const listener = createNotificationListener({
      newClient: () => {
        attempts += 1;
        const port = attempts === 1 ? 1 : undefined;
        return port === undefined
          ? new pg.Client({ connectionString: database.url })
          : new pg.Client({ host: "127.0.0.1", port });
      },
    });
    const signals = createPostgresSignals({ pool: database.pool, listener });
    const heard = createDeferred<SignalKind>();
    await signals.subscribe("operations/a", heard.resolve);
    assert.equal(await heard.promise, "missed");
    await signals.close();
  });

  it("durability 15: send no NOTIFY where that is switched off, and reach this process still", async () => {
    const [here, there] = [someSignals({ notify: false }), someSignals()];
    const [near, far] = [createDeferred<SignalKind>(), createDeferred<SignalKind>()];
    await here.subscribe("operations/a", near.resolve);
    await there.subscribe("operations/a", far.resolve);
    await here.publish("operations/a", "done");
    assert.equal(await near.promise, "done");
    await there.publish("operations/a", "deleted");
    assert.equal(await far.promise, "deleted");
    assert.equal(here.pollIntervalMs, 5000);
    await Promise.all([here.close(), there.close()]);
  });

  it("refuse an invalid poll interval", () => {
    const listener = createNotificationListener({ newClient: () => new pg.Client() });
    const { pool } = database;
    assert.throws(() => createPostgresSignals({ pool, listener, pollIntervalMs: 0 }), {
      name: "RangeError",
      message: "pollIntervalMs must be from 1 to 2147483647, not 0",
    });
  });
});
