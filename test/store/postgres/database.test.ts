import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { beforeAll, describe, it } from "vitest";
import type { Transaction } from "../../../src/store/index.js";
import { createDatabase } from "../../../src/store/postgres/database.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.pool.query("create table notes (id integer primary key)");
});

describe("Transactions of a PostgreSQL database", () => {
  it("refuse a statement that comes after their end, whose connection may be another's", async () => {
    const { transaction } = createDatabase(database.pool);
    const kept: Transaction[] = [];
    await transaction(async (given) => {
      kept.push(given);
    });
    const failing = transaction(async (given) => {
      kept.push(given);
      throw new Error("a bug");
    });
    await assert.rejects(failing, { message: "a bug" });
    assert.equal(kept.length, 2);
    for (const late of kept) {
      await assert.rejects(late.executeSql("insert into notes values (1)", []), (error) => {
        return ConnectError.from(error).code === Code.FailedPrecondition;
      });
    }
    const { rows } = await database.pool.query("select from notes");
    assert.equal(rows.length, 0);
  });

  it("keep their writes after the commit if an afterCommit callback throws", async () => {
    const { transaction } = createDatabase(database.pool);
    const told: string[] = [];
    const answer = await transaction(async ({ afterCommit }) => {
      afterCommit?.(() => {
        throw new Error("a bug");
      });
      afterCommit?.(() => told.push("the second"));
      return "committed";
    });
    assert.equal(answer, "committed");
    assert.deepEqual(told, ["the second"]);
  });

  it("reject where the database rolls back at the commit, as of a failure that was passed over", async () => {
    const { transaction } = createDatabase(database.pool);
    const told: string[] = [];
    const passingOver = transaction(async ({ executeSql, afterCommit }) => {
      afterCommit?.(() => told.push("committed"));
      await executeSql("insert into notes values (7)", []);
      await executeSql("insert into notes values (7)", []).catch(() => undefined);
    });
    await assert.rejects(passingOver, (error) => {
      return ConnectError.from(error).code === Code.Internal;
    });
    assert.deepEqual(told, []);
    const { rows } = await database.pool.query("select from notes where id = 7");
    assert.equal(rows.length, 0);
  });

  it("run what is asked for at the same time one after the other", async () => {
    let running = 0;
    let most = 0;
    const { transaction } = createDatabase({
      query: (text, values) => database.pool.query(text, values),
      async connect() {
        const client = await database.pool.connect();
        return {
          async query(text, values) {
            running += 1;
            most = Math.max(most, running);
            try {
              return await client.query(text, values);
            } finally {
              running -= 1;
            }
          },
          release: (destroy) => client.release(destroy),
          on: (event, listener) => client.on(event, listener),
          removeListener: (event, listener) => client.removeListener(event, listener),
        };
      },
    });
    await transaction(({ executeSql }) =>
      Promise.all([2, 3, 4].map((id) => executeSql("insert into notes values ($1)", [id]))),
    );
    assert.equal(most, 1);
    const { rows } = await database.pool.query("select from notes where id in (2, 3, 4)");
    assert.equal(rows.length, 3);
  });

  it("wait no longer for a lock than they may", async () => {
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin; lock table notes");
    const waiting = createDatabase(database.pool).transaction(
      ({ executeSql }) => executeSql("select from notes", []),
      { lockTimeoutMs: 20 },
    );
    await assert.rejects(waiting, { message: "canceling statement due to lock timeout" });
    await holder.end();
  });
});
