import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { afterEach, beforeAll, describe, it } from "vitest";
import { createDatabase } from "../../../src/store/postgres/database.js";
import { isRowLevelError } from "../../../src/store/postgres/database-error.js";
import { withPreparedStatements } from "../../../src/store/postgres/prepared-statements.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

let database: TestDatabase;
let opened: pg.Pool[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  for (const pool of opened) await pool.end();
  opened = [];
});

/** A pool of one connection, so that the test sees what that has. */
function onePool() {
  const inner = new pg.Pool({ connectionString: database.url, max: 1 });
  opened.push(inner);
  const pool = withPreparedStatements(inner);
  const prepared = async () => {
    const { rows } = await inner.query<{ name: string }>("select name from pg_prepared_statements");
    return rows.map(({ name }) => name);
  };
  const ask = async (times: number, text = "select $1::integer as it") => {
    const answers: unknown[] = [];
    for (let at = 0; at < times; at += 1) answers.push((await pool.query(text, [at])).rows[0]);
    return answers;
  };
  return { inner, pool, prepared, ask };
}

describe("preparing", () => {
  it("has a statement kept from its fifth time on, with the same answers", async () => {
    const { ask, prepared } = onePool();
    assert.deepEqual(await ask(4), [{ it: 0 }, { it: 1 }, { it: 2 }, { it: 3 }]);
    assert.deepEqual(await prepared(), []);
    assert.deepEqual(await ask(2), [{ it: 0 }, { it: 1 }]);
    assert.equal((await prepared()).length, 1);
  });

  it("uses them in transactions too", async () => {
    const { ask, pool, prepared } = onePool();
    await ask(5);
    const [name] = await prepared();
    const client = await pool.connect();
    await client.query("begin", []);
    const { rows } = await client.query("select $1::integer as it", [7]);
    const names = await client.query("select name from pg_prepared_statements", []);
    await client.query("rollback", []);
    client.release();
    assert.deepEqual([rows, names.rows], [[{ it: 7 }], [{ name }]]);
  });

  it("keeps no more than 100", async () => {
    const { ask, prepared } = onePool();
    for (let at = 0; at < 105; at += 1) await ask(5, `select $1::integer as it, ${at} as at`);
    assert.equal((await prepared()).length, 100);
  });

  it("prepares nothing any more once a connection has not kept one, as behind a pooler", async () => {
    const { inner, ask, prepared } = onePool();
    await ask(5);
    // Another session of the server's, as far as the driver can see.
    await inner.query("deallocate all");
    assert.deepEqual(await ask(2), [{ it: 0 }, { it: 1 }]);
    await ask(5, "select $1::integer as other");
    assert.deepEqual(await prepared(), []);
  });

  it("never runs what another process has prepared, whose session a pooler hands on", async () => {
    const { inner, ask } = onePool();
    const another = onePool();
    await ask(5);
    const text = "select $1::integer - 1000 as it";
    await another.ask(5, text);
    const [name] = await another.prepared();
    await inner.query("deallocate all");
    await inner.query(`prepare "${name}" as ${text}`);
    assert.deepEqual(await ask(1), [{ it: 0 }]);
  });

  it("has a transaction that ends by it be UNAVAILABLE, and the next one go well", async () => {
    const { inner, pool, ask } = onePool();
    await ask(5);
    await inner.query("deallocate all");
    const database = createDatabase(pool);
    const askWithin = () =>
      database.transaction((transaction) =>
        database.rows("select $1::integer as it", [7], { transaction }),
      );
    await assert.rejects(askWithin(), (error) => {
      return isRowLevelError(error) && ConnectError.from(error).code === Code.Unavailable;
    });
    assert.deepEqual(await askWithin(), [{ it: 7 }]);
  });

  it("goes on where a change of the schema makes a plan unfit", async () => {
    const { inner, ask } = onePool();
    await inner.query("create table things (it integer)");
    await inner.query("insert into things values (7)");
    const text = "select * from things where it >= $1::integer";
    await ask(5, text);
    await inner.query("alter table things add column other integer");
    assert.deepEqual(await ask(1, text), [{ it: 7, other: null }]);
  });

  it("passes other errors of a statement to the caller", async () => {
    const { ask } = onePool();
    await ask(6, "select 1 / (5 - $1::integer) as it").then(
      () => assert.fail("it divides by zero"),
      (error: unknown) => assert.match(String(error), /division by zero/),
    );
  });
});
