import assert from "node:assert/strict";
import { beforeAll, describe, it } from "vitest";
import type { Claim, OperationRecord, StoredResult } from "../../../src/store/index.js";
import {
  createPostgresStore,
  migrate,
  type StaleWrite,
} from "../../../src/store/postgres/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { watchedPool } from "../../support/postgres/watched-pool.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

/** A store, its statements, and its events about writes that come too late. */
function aStore() {
  const texts: string[] = [];
  const stale: StaleWrite[] = [];
  const store = createPostgresStore({
    pool: watchedPool(database.pool, (text) => {
      texts.push(text);
    }),
    observer: { staleWrite: (write) => stale.push(write) },
  });
  const insert = async (count: number): Promise<string[]> => {
    const names = Array.from({ length: count }, () => `operations/${crypto.randomUUID()}`);
    for (const name of names) await store.insert(anInsert({ name, retentionMs: 1_000_000 }));
    texts.length = 0;
    return names;
  };
  return { store, texts, stale, insert };
}

const result = (value: number): StoredResult => ({ kind: "response", value: Uint8Array.of(value) });

const claimOf = (record: OperationRecord | undefined): Claim => {
  assert.ok(record !== undefined);
  return { name: record.name, attempt: record.attempt };
};

describe("Reads and writes of single records in PostgreSQL", () => {
  it("read records requested at the same time by one statement, and missing records as undefined", async () => {
    const { store, texts, insert } = aStore();
    const [one = "", other = ""] = await insert(2);
    const found = await Promise.all(
      [one, "operations/none", other, one].map((name) => store.get(name)),
    );
    assert.deepEqual(
      found.map((record) => record?.name),
      [one, undefined, other, one],
    );
    assert.equal(texts.length, 1);
  });

  it("claim and end by one statement each what comes at the same time", async () => {
    const { store, texts, insert } = aStore();
    const names = await insert(5);
    const claimed = await Promise.all(names.map((name) => store.claim(name)));
    assert.deepEqual(
      claimed.map((record) => record && [record.name, record.state, record.attempt, record.losses]),
      names.map((name) => [name, "running", 1, 0]),
    );
    const metadata = Uint8Array.of(9);
    const ended = await Promise.all(
      claimed.map((record, at) =>
        store.finish(claimOf(record), result(at), at === 0 ? { metadata } : undefined),
      ),
    );
    assert.equal(texts.length, 2);
    assert.deepEqual(
      ended.map((record) => record && [record.name, record.state, record.result?.value[0]]),
      names.map((name, at) => [name, "done", at]),
    );
    assert.deepEqual(
      ended.map((record) => record?.metadata?.[0]),
      [9, undefined, undefined, undefined, undefined],
    );
    for (const record of ended) {
      assert.ok(record?.endTimeMicros !== undefined && record.expireTimeMicros !== undefined);
      assert.equal(record.expireTimeMicros - record.endTimeMicros, 1_000_000_000);
      assert.deepEqual(await store.get(record.name), record);
    }
  });

  it("durability 5: write nothing of a stale attempt, and all of the others beside it", async () => {
    const { store, stale, insert } = aStore();
    const [lost = "", held = "", done = ""] = await insert(3);
    const first = claimOf(await store.claim(lost));
    await store.claim(lost);
    const holder = claimOf(await store.claim(held));
    const ender = claimOf(await store.claim(done));
    await store.finish(ender, result(1));
    const ended = await Promise.all([
      store.finish(first, result(2)),
      store.finish(holder, result(3)),
      store.finish(ender, result(4)),
    ]);
    assert.deepEqual(
      ended.map((record) => record?.result?.value[0]),
      [undefined, 3, undefined],
    );
    assert.deepEqual(
      stale.map(({ name, action }) => [name, action]).toSorted(),
      [
        [lost, "finish"],
        [done, "finish"],
      ].toSorted(),
    );
    assert.equal((await store.get(lost))?.state, "running");
    assert.equal((await store.get(done))?.result?.value[0], 1);
  });

  it("end an operation once if several callers end it at the same time", async () => {
    const { store, insert } = aStore();
    const [name = "", other = ""] = await insert(2);
    const [claim, otherClaim] = [
      claimOf(await store.claim(name)),
      claimOf(await store.claim(other)),
    ];
    const ended = await Promise.all([
      store.finish(claim, result(1)),
      store.finish(otherClaim, result(2)),
      store.finish(claim, result(3)),
    ]);
    assert.equal(ended.filter((record) => record?.name === name).length, 1);
    assert.equal(ended[1]?.result?.value[0], 2);
  });

  it("durability 4: give each of two claims of one operation an attempt of its own", async () => {
    const { store, insert } = aStore();
    const [name = "", other = ""] = await insert(2);
    const claimed = await Promise.all([store.claim(name), store.claim(other), store.claim(name)]);
    assert.deepEqual(
      claimed.map((record) => record && [record.name, record.attempt]).toSorted(),
      [
        [name, 1],
        [name, 2],
        [other, 1],
      ].toSorted(),
    );
  });

  it("drop the checkpoint of a lost attempt for the claim that says so, and no other's", async () => {
    const { store, insert } = aStore();
    const names = await insert(2);
    for (const name of names) {
      const claim = claimOf(await store.claim(name));
      await store.report(claim, { checkpoint: Uint8Array.of(5) });
    }
    const [restarted, resumed] = await Promise.all(
      names.map((name, at) => store.claim(name, { restartLost: at === 0 })),
    );
    assert.deepEqual([restarted?.checkpoint, restarted?.losses], [undefined, 1]);
    assert.deepEqual([[...(resumed?.checkpoint ?? [])], resumed?.losses], [[5], 1]);
  });

  it("claim no operation that is driven from outside, done or unknown", async () => {
    const { store, insert } = aStore();
    const [queued = "", done = ""] = await insert(2);
    await store.finish(claimOf(await store.claim(done)), result(1));
    const external = anInsert({ name: `operations/${crypto.randomUUID()}`, external: true });
    await store.insert(external);
    const names = [external.name, done, "operations/none", queued];
    const claimed = await Promise.all(names.map((name) => store.claim(name)));
    assert.deepEqual(
      claimed.map((record) => record?.name),
      [undefined, undefined, undefined, queued],
    );
  });

  it("wait for a row that is locked without the others waiting too", async () => {
    const { store, insert } = aStore();
    const [locked = "", free = "", other = ""] = await insert(3);
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query("select from longrunning.operations where name = $1 for update", [locked]);
    const waiting = store.claim(locked);
    const claimed = await Promise.all([store.claim(free), store.claim(other)]);
    assert.deepEqual(
      claimed.map((record) => record?.name),
      [free, other],
    );
    await client.query("commit");
    client.release();
    assert.equal((await waiting)?.state, "running");
  });
});
