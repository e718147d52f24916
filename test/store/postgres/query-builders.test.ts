import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { Kysely, PostgresDialect } from "kysely";
import { fromDrizzle, fromKysely } from "pg-boss";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createOperations, type OperationsServer } from "../../../src/server/index.js";
import type { OperationStore, Transaction } from "../../../src/store/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";

/** The user's own table. */
interface Tables {
  orders: { id: string };
}

describe("a start in the transaction of a query builder", () => {
  let database: TestDatabase;
  let store: OperationStore;
  let operations: OperationsServer;

  beforeAll(async () => {
    database = await createTestDatabase();
    await database.pool.query("create table orders (id text primary key)");
    const parts = await connectPostgres({ connectionString: database.url });
    store = parts.store;
    operations = createOperations(parts);
  });

  afterAll(() => operations.shutdown());

  /** Start an operation beside a row of the user's, and say what is left of both. */
  const place = async (
    transact: (id: string, start: (transaction: Transaction) => Promise<void>) => Promise<void>,
    isToFail: boolean,
  ) => {
    const id = crypto.randomUUID();
    let name = "";
    const placed = transact(id, async (transaction) => {
      ({ name } = await operations.start(Print, { pages: 1, requestId: id }, { transaction }));
      if (isToFail) throw new Error("out of paper");
    });
    if (isToFail) await assert.rejects(placed, { message: "out of paper" });
    else await placed;
    const orders = await database.pool.query("select from orders where id = $1", [id]);
    const jobs = await database.pool.query(
      "select from longrunning_queue.job where data->>'name' = $1",
      [name],
    );
    const isThere = (await store.get(name)) !== undefined;
    return { orders: orders.rowCount, operations: isThere ? 1 : 0, jobs: jobs.rowCount };
  };

  it("commits and rolls back with Kysely's", async () => {
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: database.pool }) });
    const transact = (id: string, start: (transaction: Transaction) => Promise<void>) =>
      kysely.transaction().execute(async (trx) => {
        await trx.insertInto("orders").values({ id }).execute();
        await start(fromKysely(trx));
      });
    assert.deepEqual(await place(transact, true), { orders: 0, operations: 0, jobs: 0 });
    assert.deepEqual(await place(transact, false), { orders: 1, operations: 1, jobs: 1 });
  });

  it("commits and rolls back with Drizzle's", async () => {
    const db = drizzle(database.pool);
    const transact = (id: string, start: (transaction: Transaction) => Promise<void>) =>
      db.transaction(async (tx) => {
        await tx.execute(sql`insert into orders values (${id})`);
        await start(fromDrizzle(tx, sql));
      });
    assert.deepEqual(await place(transact, true), { orders: 0, operations: 0, jobs: 0 });
    assert.deepEqual(await place(transact, false), { orders: 1, operations: 1, jobs: 1 });
  });
});
