import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { describe, it, onTestFinished } from "vitest";
import {
  connectPostgres,
  createPgBossDispatcher,
  createPostgresStore,
  migrate,
} from "../../../src/store/postgres/index.js";
import { anInsert } from "../../support/an-insert.js";
import { startSeveringProxy } from "../../support/postgres/severing-proxy.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";

/** A migrated database behind a proxy that ends every new connection as soon as it is ready. */
async function aSeveredDatabase() {
  const { url, pool } = await createTestDatabase();
  await migrate(pool);
  const proxy = await startSeveringProxy(url);
  onTestFinished(() => proxy.close());
  proxy.severNewConnections();
  return proxy.url;
}

/** A pool of the user's that has no listener for errors. */
async function aBarePool() {
  const pool = new pg.Pool({ connectionString: await aSeveredDatabase(), max: 2 });
  onTestFinished(() => pool.end());
  return pool;
}

// An "error" event without a listener would fail the run as an uncaught exception.
async function assertUnavailable(call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => assert.fail("it did not reject"),
    (cause: unknown) => ConnectError.from(cause),
  );
  assert.equal(error.code, Code.Unavailable, error.message);
  // The connection's last events come after the answer.
  await new Promise((resolve) => setImmediate(resolve));
}

describe("a PostgreSQL connection that ends with the message that it is ready", () => {
  it("fails a transaction of the store with UNAVAILABLE, on a pool of the user's", async () => {
    const store = createPostgresStore({ pool: await aBarePool() });
    await assertUnavailable(store.transaction(async () => undefined));
  });

  it("fails a statement of the store with UNAVAILABLE, on a pool of the user's", async () => {
    const store = createPostgresStore({ pool: await aBarePool() });
    await assertUnavailable(store.insert(anInsert({ name: "operations/1" })));
  });

  it("fails the dispatcher with UNAVAILABLE, on a pool of the user's", async () => {
    const dispatcher = createPgBossDispatcher({ pool: await aBarePool() });
    await assertUnavailable(dispatcher.dispatch([{ name: "operations/1", method: "a.B/C" }]));
    await dispatcher.stop();
  });

  it("fails a migration with UNAVAILABLE, on a pool of the user's", async () => {
    await assertUnavailable(migrate(await aBarePool()));
  });

  it("fails `connectPostgres` with UNAVAILABLE, with and without a migration", async () => {
    const connectionString = await aSeveredDatabase();
    await assertUnavailable(connectPostgres({ connectionString }));
    await assertUnavailable(connectPostgres({ connectionString, migrate: false }));
  });
});
