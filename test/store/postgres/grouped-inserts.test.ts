import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, describe, it } from "vitest";
import type { NewOperation, Together, Transaction } from "../../../src/store/index.js";
import {
  createPostgresStore,
  migrate,
  type PostgresPool,
} from "../../../src/store/postgres/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { verbOf, watchedPool } from "../../support/postgres/watched-pool.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
  await database.pool.query("create table companions (name text primary key)");
});

function anOperation(init: Partial<NewOperation> = {}): NewOperation {
  return anInsert({
    name: `operations/${crypto.randomUUID()}`,
    retentionMs: 1_000_000,
    ...init,
  });
}

function aRequestId(id: string): NewOperation["requestId"] {
  return { scope: "tests", id, fingerprint: Uint8Array.of(7), windowMs: 1_000_000 };
}

/** A row of the user's own that goes with an operation. */
const accompany: Together = async (records, transaction) => {
  await transaction.executeSql("insert into companions select unnest($1::text[])", [
    records.map(({ name }) => name),
  ]);
};

function insertTogether(
  operation: NewOperation,
  together: Together = accompany,
  pool: PostgresPool = database.pool,
) {
  const by = storeOf(pool).insertTogether;
  assert.ok(by !== undefined);
  return by(operation, together);
}

const stores = new WeakMap<PostgresPool, ReturnType<typeof createPostgresStore>>();

/** One store for each pool, as it is one store that makes a group. */
function storeOf(pool: PostgresPool) {
  const store = stores.get(pool) ?? createPostgresStore({ pool });
  stores.set(pool, store);
  return store;
}

async function companionsOf(operations: readonly NewOperation[]): Promise<number> {
  const { rows } = await database.pool.query("select from companions where name = any($1)", [
    operations.map(({ name }) => name),
  ]);
  return rows.length;
}

describe("insertTogether of the PostgreSQL store", () => {
  it("inserts concurrent operations by one statement and one call of `together`", async () => {
    const verbs: string[] = [];
    const pool = watchedPool(database.pool, (text) => {
      verbs.push(text.includes("companions") ? "together" : verbOf(text));
    });
    const operations = Array.from({ length: 20 }, () => anOperation());
    const outcomes = await Promise.all(
      operations.map((operation) => insertTogether(operation, accompany, pool)),
    );
    assert.deepEqual(verbs, ["begin", "insert", "together", "commit"]);
    assert.ok(outcomes.every(({ kind }) => kind === "inserted"));
    assert.equal(await companionsOf(operations), 20);
  });

  it("writes the record that an insert on its own writes", async () => {
    const operations = Array.from({ length: 20 }, (_, at) =>
      anOperation({
        parent: `printers/${at}`,
        principal: `p${at}`,
        request: Uint8Array.of(at),
        metadata: at % 2 === 0 ? Uint8Array.of(at, at) : undefined,
        deadlineMs: at % 3 === 0 ? 60_000 : undefined,
        requestId: aRequestId(crypto.randomUUID()),
      }),
    );
    const outcomes = await Promise.all(operations.map((operation) => insertTogether(operation)));
    for (const [at, outcome] of outcomes.entries()) {
      assert.equal(outcome.kind, "inserted");
      const given = operations[at];
      assert.ok(outcome.kind === "inserted" && given !== undefined);
      // The record that a separate insert of an equal operation writes.
      const twin = await storeOf(database.pool).insert({
        ...given,
        name: `${given.name}-twin`,
        requestId: given.requestId && { ...given.requestId, id: `${given.requestId.id}-twin` },
      });
      assert.ok(twin.kind === "inserted");
      const { createTimeMicros, deadlineTimeMicros } = outcome.record;
      const relative =
        deadlineTimeMicros === undefined ? undefined : deadlineTimeMicros - createTimeMicros;
      assert.equal(relative, given.deadlineMs === undefined ? undefined : 60_000_000);
      assert.deepEqual(
        {
          ...outcome.record,
          createTimeMicros: 0,
          updateTimeMicros: 0,
          deadlineTimeMicros: 0,
        },
        {
          ...twin.record,
          name: given.name,
          requestId: given.requestId,
          createTimeMicros: 0,
          updateTimeMicros: 0,
          deadlineTimeMicros: 0,
        },
      );
      assert.deepEqual(await storeOf(database.pool).get(given.name), outcome.record);
    }
  });

  it("leads one request id to one operation, also within a group and after it", async () => {
    const id = crypto.randomUUID();
    const operations = Array.from({ length: 5 }, () => anOperation({ requestId: aRequestId(id) }));
    const other = anOperation();
    const all = [...operations, other];
    const outcomes = await Promise.all(all.map((operation) => insertTogether(operation)));
    const kinds = outcomes.map(({ kind }) => kind).toSorted();
    assert.deepEqual(kinds, [...Array(4).fill("duplicate"), "inserted", "inserted"]);
    const names = outcomes.slice(0, 5).map((outcome) => "record" in outcome && outcome.record.name);
    assert.equal(new Set(names).size, 1);
    assert.equal(await companionsOf(all), 2);
  });

  it("gives a name to one of a group, and that one its own request", async () => {
    const { name } = anOperation();
    const operations = [1, 2, 3].map((at) =>
      anOperation({ name, request: Uint8Array.of(at), requestId: aRequestId(`${name}-${3 - at}`) }),
    );
    const companions = async () => undefined;
    const outcomes = await Promise.all(
      operations.map((operation) => insertTogether(operation, companions)),
    );
    assert.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), [
      "inserted",
      "name-taken",
      "name-taken",
    ]);
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.kind === "inserted") assert.deepEqual([...outcome.record.request], [at + 1]);
    }
  });

  it("undoes the insert of the one whose companion fails, and no other's", async () => {
    const operations = [anOperation(), anOperation(), anOperation()];
    const [, bad] = operations;
    const outcomes = await Promise.allSettled(
      operations.map((operation) =>
        insertTogether(operation, async (records, transaction) => {
          await accompany(records, transaction);
          if (operation === bad) await transaction.executeSql("insert into nowhere values (1)", []);
        }),
      ),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal(await companionsOf(operations), 2);
    assert.equal(await storeOf(database.pool).get(bad?.name ?? ""), undefined);
  });

  it("has only the one wait whose request id another transaction has not committed", async () => {
    const requestId = aRequestId(crypto.randomUUID());
    const client = await database.pool.connect();
    await client.query("begin");
    const transaction: Transaction = { executeSql: (text, values) => client.query(text, values) };
    const earlier = anOperation({ requestId });
    await storeOf(database.pool).insert(earlier, { transaction });
    const waiting = insertTogether(anOperation({ requestId }));
    const others = [anOperation(), anOperation()].map((operation) => insertTogether(operation));
    for (const { kind } of await Promise.all(others)) assert.equal(kind, "inserted");
    await client.query("commit");
    client.release();
    const outcome = await waiting;
    assert.ok(outcome.kind === "duplicate");
    assert.equal(outcome.record.name, earlier.name);
  });

  it("does not retry a commit without a response, because it may have succeeded", async () => {
    let commits = 0;
    const { pool } = database;
    const cut: PostgresPool = {
      query: (text, values) => pool.query(text, values),
      async connect() {
        const client = await pool.connect();
        return {
          async query(text, values) {
            const result = await client.query(text, values);
            if (verbOf(text) !== "commit") return result;
            commits += 1;
            throw new Error("Connection terminated unexpectedly");
          },
          release: (destroy) => client.release(destroy),
          on: (event, listener) => client.on(event, listener),
          removeListener: (event, listener) => client.removeListener(event, listener),
        };
      },
    };
    const operations = [anOperation(), anOperation()];
    const outcomes = await Promise.allSettled(
      operations.map((operation) => insertTogether(operation, accompany, cut)),
    );
    for (const outcome of outcomes) {
      assert.ok(outcome.status === "rejected");
      assert.equal(ConnectError.from(outcome.reason).code, Code.Unavailable);
    }
    assert.equal(commits, 1);
    assert.equal(await companionsOf(operations), 2);
  });

  it("lets a request of more than 64 KiB go alone", async () => {
    const rows: number[] = [];
    const pool = watchedPool(database.pool, (text, values) => {
      if (!text.includes('insert into "longrunning"')) return;
      rows.push(Array.isArray(values[0]) ? values[0].length : 1);
    });
    const operations = [
      anOperation(),
      anOperation({ request: new Uint8Array(64 * 1024 + 1) }),
      anOperation(),
    ];
    const inserted = operations.map((operation) => insertTogether(operation, accompany, pool));
    for (const { kind } of await Promise.all(inserted)) assert.equal(kind, "inserted");
    assert.deepEqual(rows.toSorted(), [1, 2]);
  });
});
