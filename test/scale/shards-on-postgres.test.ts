import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, type ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import fc from "fast-check";
import pg from "pg";
import { beforeAll, describe, it, onTestFinished } from "vitest";
import { Operations } from "../../src/protos.js";
import { createOperations, createShards, type ShardsOptions } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  type ListCursor,
  matchesFilter,
  type NewOperation,
  type OperationFilter,
  type OperationStore,
} from "../../src/store/index.js";
import { connectPostgres, createPostgresStore, migrate } from "../../src/store/postgres/index.js";
import { dispatcherContract, signalsContract, storeContract } from "../../src/testing/index.js";
import { anInsert } from "../support/an-insert.js";
import { createDeferred } from "../support/deferred.js";
import { startSeveringProxy } from "../support/postgres/severing-proxy.js";
import { createTestDatabase, type TestDatabase } from "../support/postgres/test-database.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { isOfOneShard } from "../support/shard-cases.js";

/** The last digit of a parent is the number of its shard. */
const shardOf = (parent: string) => (Number(parent.at(-1)) || 0) % 2;

/** An operation in a shard, below a parent that no other test uses. */
function inShard(parents: string, shard: number, init: Partial<NewOperation> = {}): NewOperation {
  const parent = `${parents}/${shard}`;
  const operation = anInsert({ parent, retentionMs: 60_000, ...init });
  return { ...operation, name: `${parent}/${operation.name}` };
}

let collections = 0;
/** A collection of parents of one test's own. */
function newCollection(): string {
  collections += 1;
  return `shelves${collections}`;
}

const reasonOf = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;
const response = { kind: "response" as const, value: Uint8Array.of(1) };

let databases: readonly [TestDatabase, TestDatabase];

beforeAll(async () => {
  databases = [await createTestDatabase(), await createTestDatabase()];
  for (const { pool } of databases) await migrate(pool);
});

/** Two shards with pg-boss and LISTEN, closed after the test. */
async function connectShards(
  options: ShardsOptions = {},
  urls: readonly string[] = databases.map(({ url }) => url),
) {
  const parts = await Promise.all(
    urls.map((connectionString) =>
      connectPostgres({ connectionString, maxConnections: 5, pollIntervalMs: 500 }),
    ),
  );
  const shards = createShards(parts, { shardOf, ...options });
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await shards.dispatcher.stop();
    await shards.signals.close();
    await shards.store.close();
  };
  onTestFinished(close);
  return { ...shards, parts, close };
}

const nothing = async () => undefined;

/** Stores alone, without their queues and signals. */
function shardsOf(of: readonly pg.Pool[], options: ShardsOptions = {}): OperationStore {
  const parts = of.map((pool) => ({
    store: createPostgresStore({ pool }),
    dispatcher: { isDurable: true, dispatch: nothing, serve: () => undefined, stop: nothing },
    signals: {
      pollIntervalMs: undefined,
      subscribe: async () => () => undefined,
      publish: nothing,
      close: nothing,
    },
  }));
  return createShards(parts, options).store;
}

const pools = () => databases.map(({ pool }) => pool);

async function walk(
  store: OperationStore,
  parent: string,
  limit: number,
  filter?: OperationFilter,
) {
  const names: string[] = [];
  let after: ListCursor | undefined;
  do {
    const page = await store.list({ parent, principal: undefined, filter, after, limit });
    assert.ok(page.records.length <= limit);
    names.push(...page.records.map(({ name }) => name));
    after = page.next;
  } while (after !== undefined);
  return names;
}

describe("the contracts over two PostgreSQL databases", () => {
  for (const { title, run } of storeContract) {
    it(`scale 34: all in one shard: ${title}`, async () => {
      const store = shardsOf(pools(), { shardOf: () => 1 });
      await run(store);
      await store.close();
    });
  }
  for (const { title, run } of storeContract.filter(({ title }) => !isOfOneShard(title))) {
    it(`scale 34: over both: ${title}`, async () => {
      const store = shardsOf(pools());
      await run(store);
      await store.close();
    });
  }
  for (const { title, run } of dispatcherContract) {
    it(`scale 48: dispatcher: ${title}`, async () => run((await connectShards()).dispatcher));
  }
  for (const { title, run } of signalsContract) {
    it(`scale 48: signals: ${title}`, async () => run((await connectShards()).signals));
  }
});

describe("two shards in PostgreSQL", () => {
  it("scale 35: a walk meets each lasting operation once, newest first, under inserts and deletes", async () => {
    const { store } = await connectShards();
    const step = fc.record({ shard: fc.nat(1), isDeleted: fc.boolean() });
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 30 }),
      fc.array(step, { maxLength: 10 }),
      fc.integer({ min: 1, max: 5 }),
      async (before, during, limit) => {
        const parents = newCollection();
        const insert = async ({ shard, isDeleted }: (typeof before)[number]) => {
          const operation = inShard(parents, shard);
          await store.insert(operation);
          if (isDeleted) await store.hide(operation.name);
          return isDeleted ? [] : [operation.name];
        };
        const lasting: string[] = [];
        for (const each of before) lasting.push(...(await insert(each)));
        const records = await Promise.all(lasting.map((name) => store.get(name)));
        const expected = records
          .flatMap((record) => record ?? [])
          .sort(
            (one, other) =>
              other.createTimeMicros - one.createTimeMicros || (one.name < other.name ? 1 : -1),
          )
          .map(({ name }) => name);
        const [met] = await Promise.all([
          walk(store, `${parents}/-`, limit),
          (async () => {
            for (const each of during) await insert(each);
          })(),
        ]);
        assert.deepEqual(
          met.filter((name) => lasting.includes(name)),
          expected,
        );
        assert.equal(new Set(met).size, met.length);
      },
    );
    await fc.assert(property, { numRuns: 15 });
  }, 60_000);

  it("scale 36, 38: filters over both match what matchesFilter does, in pages of 4", async () => {
    const { store } = await connectShards();
    const parents = newCollection();
    for (let count = 0; count < 30; count += 1) {
      const operation = inShard(parents, count % 2, { principal: `users/${count % 4}` });
      await store.insert(operation);
      if (count % 3 === 0) await store.claim(operation.name);
    }
    const all = await walk(store, `${parents}/-`, 100);
    assert.equal(all.length, 30);
    const filters: OperationFilter[] = [
      { kind: "state-in", states: ["running"] },
      { kind: "text", column: "principal", operator: "=", value: "users/1" },
      { kind: "or", operands: [{ kind: "attempt", operator: "=", value: 0 }] },
      { kind: "method-in", methods: [] },
    ];
    for (const filter of filters) {
      const records = await Promise.all(all.map((name) => store.get(name)));
      const expected = records.flatMap((record) =>
        record !== undefined && matchesFilter(filter, record) ? [record.name] : [],
      );
      assert.deepEqual(await walk(store, `${parents}/-`, 4, filter), expected);
    }
  });

  it("scale 39: a list of one parent asks one database", async () => {
    const proxies = await Promise.all(databases.map(({ url }) => startSeveringProxy(url)));
    onTestFinished(async () => {
      for (const proxy of proxies) await proxy.close();
    });
    const proxied = proxies.map(({ url }) => new pg.Pool({ connectionString: url, max: 2 }));
    onTestFinished(async () => {
      for (const pool of proxied) await pool.end();
    });
    const store = shardsOf(proxied, { shardOf });
    const statements = () => proxies.map((proxy) => proxy.statements());
    const before = statements();
    const list = { principal: undefined, filter: undefined, after: undefined, limit: 5 };
    for (let count = 0; count < 50; count += 1) await store.list({ ...list, parent: "shelves/1" });
    const asked = statements().map((count, at) => count - (before[at] ?? 0));
    assert.deepEqual(asked, [0, 50]);
  });

  it("scale 40, 41, 42: beside a database that is away, the others are served", async () => {
    const shards = await connectShards({ place: (shard) => `locations/${shard}` });
    const operations = createOperations({ ...shards, pageTokenKey: new Uint8Array(32).fill(7) });
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, operations.service)),
    );
    const parents = newCollection();
    const names: string[] = [];
    for (let count = 0; count < 6; count += 1) {
      const parent = `${parents}/${count % 2}`;
      names.push((await operations.create(Print, { parent })).name);
    }
    const [, away] = databases;
    await away.leave();
    let isAway = true;
    onTestFinished(async () => {
      if (isAway) await away.comeBack();
      await operations.shutdown({ graceMs: 100 });
    });
    const there = names.find((name) => name.startsWith(`${parents}/1`)) ?? "";
    const here = names.find((name) => name.startsWith(`${parents}/0`)) ?? "";
    const codes = await Promise.all(
      [
        rpc.getOperation({ name: there }),
        rpc.waitOperation({ name: there, timeout: { seconds: 1n } }),
        rpc.cancelOperation({ name: there }),
        rpc.deleteOperation({ name: there }),
        rpc.listOperations({ name: `${parents}/1` }),
        rpc.listOperations({ name: `${parents}/-` }),
      ].map(async (call) => (await rejectionOf(call)).code),
    );
    assert.deepEqual(new Set(codes), new Set([Code.Unavailable]));
    assert.equal((await rpc.getOperation({ name: here })).name, here);
    const partial = { name: `${parents}/-`, pageSize: 1, returnPartialSuccess: true };
    const first = await rpc.listOperations(partial);
    assert.deepEqual(first.unreachable, ["locations/1"]);
    const second = await rpc.listOperations({ ...partial, pageToken: first.nextPageToken });
    assert.deepEqual(second.unreachable, ["locations/1"]);
    const met = [...first.operations, ...second.operations].map(({ name }) => name);
    await away.comeBack();
    isAway = false;
    for (let pageToken = second.nextPageToken; pageToken !== ""; ) {
      const page = await rpc.listOperations({ ...partial, pageToken });
      met.push(...page.operations.map(({ name }) => name));
      pageToken = page.nextPageToken;
    }
    assert.equal(new Set(met).size, met.length);
    for (const name of names.filter((each) => each.startsWith(`${parents}/0`))) {
      assert.ok(met.includes(name), name);
    }
  }, 60_000);

  it("scale 43, 44: a transaction belongs to the first database that it reaches", async () => {
    const { store } = await connectShards();
    const parents = newCollection();
    const [first, second] = [inShard(parents, 0), inShard(parents, 1)];
    const spanning = store.transaction(async (transaction) => {
      await store.insert(first, { transaction });
      await store.insert(second, { transaction });
    });
    assert.equal(reasonOf(await rejectionOf(spanning)), "TRANSACTION_SPANS_SHARDS");
    assert.equal(await store.get(first.name), undefined);
    const early = store.transaction(async (transaction) => {
      await transaction?.executeSql("select 1", []);
    });
    assert.equal(reasonOf(await rejectionOf(early)), "SHARD_UNKNOWN");
    const committed = createDeferred<void>();
    await store.transaction(async (transaction) => {
      await store.insert(second, { transaction });
      const text = "select name from longrunning.operations where name = $1";
      const { rows } = (await transaction?.executeSql(text, [second.name])) ?? {};
      assert.equal(rows?.length, 1);
      transaction?.afterCommit?.(committed.resolve);
    });
    await committed.promise;
    assert.equal((await store.get(second.name))?.name, second.name);
  });

  it("scale 43: inserts together, and in a transaction begun elsewhere, are of one database", async () => {
    const store = shardsOf(pools(), { shardOf });
    const parents = newCollection();
    const [first, second] = [inShard(parents, 0), inShard(parents, 1)];
    const together = store.insertTogether?.(first, async (_, transaction) => {
      await store.insert(second, { transaction });
    });
    assert.ok(together !== undefined);
    assert.equal(reasonOf(await rejectionOf(together)), "TRANSACTION_SPANS_SHARDS");

    const client = await databases[0].pool.connect();
    const transaction = {
      executeSql: (text: string, values: readonly unknown[]) => client.query(text, [...values]),
    };
    await client.query("begin");
    await store.insert(first, { transaction });
    const spanning = store.insert(second, { transaction });
    assert.equal(reasonOf(await rejectionOf(spanning)), "TRANSACTION_SPANS_SHARDS");
    await client.query("rollback");
    client.release();
    for (const { name } of [first, second]) assert.equal(await store.get(name), undefined);
    await store.close();
  });

  it("scale 45: operations of one resource key run at the same time in two databases", async () => {
    const { store } = await connectShards();
    const parents = newCollection();
    const resourceKey = `${parents}/printer`;
    for (const shard of [0, 1]) {
      const outcome = await store.insert(inShard(parents, shard, { resourceKey }));
      assert.equal(outcome.kind === "inserted" && outcome.record.state, "queued");
    }
    const outcome = await store.insert(inShard(parents, 1, { resourceKey }));
    assert.notEqual(outcome.kind === "inserted" && outcome.record.state, "queued");
  });

  it("scale 46: deadlines and unfinished work cover the database that answers", async () => {
    const { store } = await connectShards({ awayAfterMs: 3000 });
    const parents = newCollection();
    const names: string[] = [];
    for (const shard of [0, 1]) {
      const operation = inShard(parents, shard, { deadlineMs: 0 });
      names.push(operation.name);
      await store.insert(operation);
    }
    const [, away] = databases;
    await away.leave();
    onTestFinished(() => away.comeBack());
    const open: string[] = [];
    let after: ListCursor | undefined;
    do {
      const page = await store.unfinished({ after, limit: 1000 });
      open.push(...page.records.map(({ name }) => name));
      after = page.next;
    } while (after !== undefined);
    assert.ok(open.includes(names[0] ?? ""));
    assert.ok(!open.includes(names[1] ?? ""));
    const results = { deadlineExceeded: response, cancelled: response };
    const { ended } = await store.endOverdue(results, 1000);
    assert.ok(ended.some(({ name }) => name === names[0]));
    assert.equal((await store.get(names[0] ?? ""))?.state, "done");
  }, 30_000);

  it("scale 47: counts of both databases add up", async () => {
    const { store } = await connectShards();
    const parents = newCollection();
    const method = `counted.v1.${parents}/Run`;
    for (const shard of [0, 1, 1]) await store.insert(inShard(parents, shard, { method }));
    const { open } = await store.counts();
    assert.deepEqual(
      open.filter((count) => count.method === method).map(({ operations }) => operations),
      [3],
    );
  });

  it("scale 48: runs the work of both, and a database that is away wakes only its waiters", async () => {
    const shards = await connectShards();
    const operations = createOperations({ ...shards, pageTokenKey: new Uint8Array(32).fill(7) });
    const go = createDeferred<void>();
    operations.handle(Print, async ({ request }) => {
      await go.promise;
      return { pages: request.pages };
    });
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, operations.service)),
    );
    const parents = newCollection();
    const [here = "", there = ""] = await Promise.all(
      [0, 1].map(
        async (shard) =>
          (await operations.start(Print, { parent: `${parents}/${shard}`, pages: shard + 1 })).name,
      ),
    );
    const waits = [here, there].map((name) =>
      rpc.waitOperation({ name, timeout: { seconds: 20n } }),
    );
    const [, away] = databases;
    await away.leave();
    onTestFinished(async () => {
      await operations.shutdown({ graceMs: 100 });
    });
    go.resolve();
    assert.equal((await waits[0])?.done, true);
    await away.comeBack();
    const ended = await waits[1]?.catch((error: ConnectError) => error.code);
    // A waiter of the lost database gets UNAVAILABLE, or its result when the database is back.
    assert.ok(ended === Code.Unavailable || (typeof ended === "object" && ended.done));
  }, 60_000);

  it("scale 50: closes the connections to both databases, although one hangs", async () => {
    const proxy = await startSeveringProxy(databases[1].url);
    onTestFinished(() => proxy.close());
    const shards = await connectShards({}, [databases[0].url, proxy.url]);
    const operations = createOperations({ ...shards, pageTokenKey: new Uint8Array(32) });
    await operations.create(Print, { parent: `${newCollection()}/1` });
    proxy.hold();
    const beganMs = performance.now();
    await operations.shutdown({ graceMs: 500 });
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < 15_000, `it took ${Math.round(tookMs)} ms`);
    // Connections of the hanging database are cut, which `pg` does not wait for.
    while (proxy.connections() > 0) await sleep(50);
    assert.ok(performance.now() - beganMs < 20_000);
  }, 60_000);
});
