import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { beforeAll, describe, it } from "vitest";
import { ErrorInfoSchema } from "../../../src/protos.js";
import type { NewOperation, OperationStore, StoredResult } from "../../../src/store/index.js";
import {
  createPostgresStore,
  migrate,
  type StaleWrite,
} from "../../../src/store/postgres/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { countsByMethodAndState } from "../counts-case.js";

const response: StoredResult = { kind: "response", value: Uint8Array.of(1) };
const preempted: StoredResult = { kind: "error", value: Uint8Array.of(2) };

let database: TestDatabase;
let store: OperationStore;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
  store = createPostgresStore({ pool: database.pool });
});

function anOperation(init: Partial<NewOperation> = {}): NewOperation {
  const parent = init.parent ?? `projects/${crypto.randomUUID()}`;
  return {
    name: `${parent}/operations/${crypto.randomUUID()}`,
    parent,
    method: "printing.v1.PrintService/Print",
    principal: "",
    external: false,
    request: new Uint8Array(),
    metadata: undefined,
    result: undefined,
    retentionMs: 1_000_000,
    deadlineMs: undefined,
    resourceKey: undefined,
    requestId: undefined,
    ...init,
  };
}

/** The code, the reason and the whole text of a call's error. */
async function refusal(call: Promise<unknown>) {
  const error: unknown = await call.then(
    () => undefined,
    (thrown) => thrown,
  );
  assert.ok(error instanceof ConnectError);
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: error.code, reason: info?.reason, message: error.message, cause: error.cause };
}

describe("createPostgresStore", () => {
  it("counts what is open, by method and state, and the attempts that were lost", async () => {
    const { pool } = await createTestDatabase();
    await migrate(pool);
    await countsByMethodAndState(createPostgresStore({ pool }));
  });

  it("durability 3: starts an operation in the transaction that has the user's own rows", async () => {
    await database.pool.query("create table orders (id text primary key)");
    const operation = anOperation();
    const place = async (outcome: "commit" | "rollback") => {
      const client = await database.pool.connect();
      try {
        await client.query("begin");
        await client.query("insert into orders values ($1)", [operation.name]);
        const transaction = {
          executeSql: (text: string, values: unknown[]) => client.query(text, values),
        };
        await store.insert(operation, { transaction });
        await client.query(outcome);
      } finally {
        client.release();
      }
      const { rowCount } = await database.pool.query("select from orders where id = $1", [
        operation.name,
      ]);
      return { order: rowCount, operation: await store.get(operation.name) };
    };
    assert.deepEqual(await place("rollback"), { order: 0, operation: undefined });
    const placed = await place("commit");
    assert.equal(placed.order, 1);
    assert.equal(placed.operation?.name, operation.name);
  });

  it("keeps texts that PostgreSQL cannot, and tells them apart", async () => {
    const texts = ["a\u0000b", "a\\0b", "a\\\\0b", "\\", "\u0000", "é😀"];
    const parent = `projects/${crypto.randomUUID()}`;
    for (const text of texts) {
      const operation = anOperation({
        parent,
        principal: text,
        resourceKey: text,
        requestId: { scope: text, id: text, fingerprint: Uint8Array.of(1), windowMs: 1000 },
      });
      assert.equal((await store.insert(operation)).kind, "inserted", JSON.stringify(text));
      const record = await store.get(operation.name);
      assert.equal(record?.principal, text);
      assert.equal(record.resourceKey, text);
      assert.equal(record.requestId?.scope, text);
      const page = await store.list({
        parent,
        principal: text,
        filter: undefined,
        after: undefined,
        limit: 10,
      });
      assert.deepEqual(
        page.records.map(({ name }) => name),
        [operation.name],
      );
    }
    assert.equal(await store.get("operations/\u0000"), undefined);
  });

  it("rejects with a ConnectError that hides the driver's error if the database refuses a write", async () => {
    const missing = createPostgresStore({ pool: database.pool, schema: "nowhere" });
    const notMigrated = await refusal(missing.get("operations/secret"));
    assert.deepEqual(
      [notMigrated.code, notMigrated.reason],
      [Code.Internal, "DATABASE_NOT_MIGRATED"],
    );
    assert.doesNotMatch(notMigrated.message, /nowhere|relation|secret/);
    assert.match(String(notMigrated.cause), /nowhere/);

    const endless = anOperation({ result: response, retentionMs: Number.NaN });
    const refused = await refusal(store.insert(endless));
    assert.deepEqual([refused.code, refused.reason], [Code.Internal, "DATABASE_FAILED"]);
    assert.doesNotMatch(refused.message, /interval|range/);
  });

  it("answers UNAVAILABLE while the database cannot be reached, with a hint when to try again", async () => {
    const pool = new pg.Pool({ host: "127.0.0.1", port: 1 });
    const away = createPostgresStore({ pool });
    const calls = [
      away.get("operations/a"),
      away.insert(anOperation()),
      away.insert(anOperation({ resourceKey: "a" })),
      away.transaction(async () => undefined),
    ];
    for (const { code, reason } of await Promise.all(calls.map(refusal))) {
      assert.deepEqual([code, reason], [Code.Unavailable, "DATABASE_UNAVAILABLE"]);
    }
    await pool.end();
  });

  it("gives a connection back after a transaction, whatever became of it", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    pool.on("error", () => undefined);
    const one = createPostgresStore({ pool });
    await assert.rejects(
      one.transaction(async () => {
        throw new Error("a bug");
      }),
      { message: "a bug" },
    );
    const cut = await refusal(
      one.transaction(async (transaction) => {
        await transaction
          ?.executeSql("select pg_terminate_backend(pg_backend_pid())", [])
          .catch(() => undefined);
      }),
    );
    assert.equal(cut.code, Code.Unavailable);
    assert.equal(await one.get("operations/none"), undefined);
    await pool.end();
  });

  it("durability I2: counts the writes that come too late", async () => {
    const stale: StaleWrite[] = [];
    const counting = createPostgresStore({
      pool: database.pool,
      observer: { staleWrite: (write) => stale.push(write) },
    });
    const { name } = anOperation();
    await counting.insert(anOperation({ name }));
    const first = await counting.claim(name);
    await counting.claim(name);
    assert.ok(first !== undefined);
    await counting.report(first, { metadata: Uint8Array.of(1) });
    await counting.release(first, true, preempted);
    await counting.finish(first, response);
    assert.deepEqual(
      stale,
      ["report", "release", "finish"].map((action) => ({ name, attempt: 1, action })),
    );
  });

  it("durability I1: the database itself refuses to change done records or lower attempts", async () => {
    const done = anOperation();
    await store.insert(done);
    const claim = await store.claim(done.name);
    assert.ok(claim !== undefined);
    await store.finish(claim, response);
    const running = anOperation();
    await store.insert(running);
    await store.claim(running.name);
    const statements: [sql: string, name: string, sqlState: string][] = [
      ["update longrunning.operations set result = '\\x07' where name = $1", done.name, "LR004"],
      ["update longrunning.operations set metadata = '\\x07' where name = $1", done.name, "LR004"],
      ["update longrunning.operations set attempt = 2 where name = $1", done.name, "LR004"],
      ["update longrunning.operations set attempt = 0 where name = $1", running.name, "LR003"],
      ["update longrunning.operations set attempt = 9 where name = $1", running.name, "LR003"],
      ["update longrunning.operations set name = 'x' where name = $1", running.name, "LR002"],
      ["delete from longrunning.operations where name = $1", running.name, "LR001"],
    ];
    for (const [sql, name, code] of statements) {
      await assert.rejects(database.pool.query(sql, [name]), { code }, sql);
    }
  });

  it("lets exactly one of many starts on a resource run, in whichever order they come", async () => {
    const resourceKey = crypto.randomUUID();
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => store.insert(anOperation({ resourceKey }))),
    );
    const records = outcomes.map((outcome) => {
      assert.ok(outcome.kind === "inserted");
      return outcome.record;
    });
    const queued = records.filter(({ state }) => state === "queued");
    assert.equal(queued.length, 1);
    // And their ends let each of the others run, one after the other, with none forgotten.
    let [next] = queued;
    for (let left = records.length; left > 0; left -= 1) {
      assert.ok(next !== undefined, `${left} are blocked for ever`);
      const { name } = next;
      next = await store.transaction(async (transaction) => {
        const claim = await store.claim(name, { transaction });
        assert.ok(claim !== undefined);
        await store.finish(claim, response, undefined, { transaction });
        return store.unblock(resourceKey, { transaction });
      });
    }
    assert.equal(next, undefined);
  });

  it("forgets no operation that is inserted while the one before it ends", async () => {
    for (let round = 0; round < 20; round += 1) {
      const resourceKey = crypto.randomUUID();
      const first = anOperation({ resourceKey });
      await store.insert(first);
      const claim = await store.claim(first.name);
      assert.ok(claim !== undefined);
      const [inserted, unblocked] = await Promise.all([
        store.insert(anOperation({ resourceKey })),
        store.transaction(async (transaction) => {
          await store.finish(claim, response, undefined, { transaction });
          return store.unblock(resourceKey, { transaction });
        }),
      ]);
      assert.ok(inserted.kind === "inserted");
      const { name, state } = inserted.record;
      assert.equal(state === "blocked" ? unblocked?.name : name, name, `round ${round}`);
    }
  });

  it("ends and preempts the same operation at once without a deadlock", async () => {
    for (let round = 0; round < 10; round += 1) {
      const resourceKey = crypto.randomUUID();
      const first = anOperation({ resourceKey });
      await store.insert(first);
      const claim = await store.claim(first.name);
      assert.ok(claim !== undefined);
      const parallel = { kind: "preempt", result: preempted } as const;
      const [outcome] = await Promise.all([
        store.insert(anOperation({ resourceKey }), { parallel }),
        store.transaction(async (transaction) => {
          await store.finish(claim, response, undefined, { transaction });
          return store.unblock(resourceKey, { transaction });
        }),
      ]);
      assert.ok(outcome.kind === "inserted");
      assert.equal(outcome.record.state, "queued");
      const end = (await store.get(first.name))?.result;
      const isPreempted = outcome.preempted.length > 0;
      assert.deepEqual(end?.value, isPreempted ? preempted.value : response.value);
    }
  });

  it("walks a bounded stretch for a page that nothing matches, and says where to go on", async () => {
    const parent = `projects/${crypto.randomUUID()}`;
    await database.pool.query(
      `insert into longrunning.operations
        (name, parent, method, principal, external, state, request, retention_ms, create_time, update_time)
      select $1 || '/operations/' || lpad(n::text, 6, '0'), $1, 'm', '', false, 'queued', '', 1000,
        clock_timestamp() - n * interval '1 second', clock_timestamp()
      from generate_series(1, 12000) n`,
      [parent],
    );
    const filter = { kind: "text", column: "method", operator: "=", value: "other" } as const;
    const query = { parent, principal: undefined, filter, limit: 10 };
    const first = await store.list({ ...query, after: undefined });
    assert.deepEqual(first.records, []);
    assert.equal(first.next?.name, `${parent}/operations/010000`);
    const second = await store.list({ ...query, after: first.next });
    assert.deepEqual(second, { records: [], next: undefined });
    const all = await store.list({ ...query, filter: undefined, after: first.next, limit: 1 });
    assert.equal(all.records[0]?.name, `${parent}/operations/010001`);
  });

  it("lists all parents that `-` stands for, and no other, along the page tokens", async () => {
    const shelf = `shelves/${crypto.randomUUID()}`;
    const parents = [`projects/a/${shelf}`, `projects/b/${shelf}`, `projects/b.c/${shelf}`];
    const names: string[] = [];
    for (const parent of [...parents, ...parents]) {
      const operation = anOperation({ parent });
      names.unshift(operation.name);
      await store.insert(operation);
    }
    for (const parent of [shelf, `projects/a/b/${shelf}`, `projects/a/${shelf}/books/1`]) {
      await store.insert(anOperation({ parent }));
    }
    const walk: string[] = [];
    let after: Parameters<OperationStore["list"]>[0]["after"];
    do {
      const parent = `projects/-/${shelf}`;
      const page = await store.list({
        parent,
        principal: undefined,
        filter: undefined,
        after,
        limit: 4,
      });
      walk.push(...page.records.map(({ name }) => name));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(walk, names);
  });

  it("removes expired records with many at it at once, each of them counted once", async () => {
    const count = 60;
    for (let at = 0; at < count; at += 1) {
      await store.insert(anOperation({ result: response, retentionMs: 0 }));
    }
    const removed = await Promise.all(Array.from({ length: 8 }, () => store.expire(20)));
    const total = removed.reduce((sum, one) => sum + one, 0);
    assert.equal(total + (await store.expire(1000)), count);
  });
});
