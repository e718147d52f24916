import assert from "node:assert/strict";
import { join } from "node:path";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, it, onTestFinished } from "vitest";
import { Operations } from "../../../src/protos.js";
import { createOperations, createShards, type ShardsOptions } from "../../../src/server/index.js";
import { standardDetailsOf } from "../../../src/status/index.js";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
  type ListCursor,
  type ListPage,
  matchesFilter,
  type NewOperation,
  type OperationFilter,
  type OperationStore,
} from "../../../src/store/index.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { createManualClock } from "../../../src/testing/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createDeferred } from "../../support/deferred.js";
import { Print } from "../../support/print-server.js";
import { rejectionOf } from "../../support/rejection.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";

const result = { kind: "response" as const, value: Uint8Array.of(1) };
const results = { deadlineExceeded: result, cancelled: result };

/** The last digit of a parent is the number of its shard. */
const byDigit = (count: number) => (parent: string) => (Number(parent.at(-1)) || 0) % count;

/** An operation in a shard, below a parent of that shard. */
function inShard(shard: number, init: Partial<NewOperation> = {}): NewOperation {
  const parent = `shelves/${shard}`;
  const operation = anInsert({ parent, ...init });
  return { ...operation, name: `${parent}/${operation.name}` };
}

const reasonOf = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;

/** A store that can be away: its calls reject, or never settle. */
function createFragile(store: OperationStore) {
  const state: { mode: "up" | "away" | "hanging" } = { mode: "up" };
  const calls: string[] = [];
  const fragile = new Proxy(store, {
    get(target, key, receiver) {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof member !== "function") return member;
      return (...given: unknown[]) => {
        calls.push(String(key));
        if (state.mode === "up") return Reflect.apply(member, target, given);
        return state.mode === "away"
          ? Promise.reject(new ConnectError("away", Code.Unavailable))
          : new Promise(() => undefined);
      };
    },
  });
  return { store: fragile, state, calls };
}

function createTestShards(count: number, options: ShardsOptions = {}) {
  const clocks = Array.from({ length: count }, () => createManualClock());
  const fragile = clocks.map((clock) => createFragile(createMemoryStore({ clock })));
  const parts = fragile.map(({ store }) => ({
    store,
    dispatcher: createInProcessDispatcher(),
    signals: createInProcessSignals(),
  }));
  const shards = createShards(parts, { shardOf: byDigit(count), awayAfterMs: 50, ...options });
  return { ...shards, parts, fragile, clocks };
}

async function walk(
  store: OperationStore,
  limit: number,
  filter?: OperationFilter,
  between: (page: ListPage) => Promise<void> = async () => undefined,
) {
  const names: string[] = [];
  let after: ListCursor | undefined;
  do {
    const query = { parent: "shelves/-", principal: undefined, filter, after, limit };
    const page = await store.list(query);
    assert.ok(page.records.length <= limit);
    names.push(...page.records.map(({ name }) => name));
    after = page.next;
    await between(page);
  } while (after !== undefined);
  return names;
}

describe("createShards", () => {
  it("scale 35: a walk over all shards meets each lasting operation once, newest first", async () => {
    const step = fc.record({
      shard: fc.nat(2),
      advance: fc.nat(3),
      kind: fc.constantFrom("insert", "delete", "skew"),
    });
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.array(step, { maxLength: 20 }),
      fc.integer({ min: 1, max: 7 }),
      async (before, during, limit) => {
        const { store, clocks } = createTestShards(3);
        const lasting: string[] = [];
        const act = async (
          { shard, advance, kind }: (typeof before)[number],
          isLasting: boolean,
        ) => {
          await clocks[shard]?.advance(kind === "skew" ? advance * 500 : advance);
          const operation = inShard(shard);
          await store.insert(operation);
          if (kind === "delete") await store.hide(operation.name);
          else if (isLasting) lasting.push(operation.name);
        };
        for (const each of before) await act(each, true);
        const records = await Promise.all(lasting.map((name) => store.get(name)));
        const expected = records
          .flatMap((record) => record ?? [])
          .sort(
            (one, other) =>
              other.createTimeMicros - one.createTimeMicros || (one.name < other.name ? 1 : -1),
          )
          .map(({ name }) => name);
        const changes = [...during];
        const met = await walk(store, limit, undefined, async () => {
          const change = changes.shift();
          if (change !== undefined) await act(change, false);
        });
        assert.deepEqual(
          met.filter((name) => lasting.includes(name)),
          expected,
        );
        assert.equal(new Set(met).size, met.length);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  }, 60_000);

  it("scale 36: a page that a filter leaves empty goes on", async () => {
    const { store } = createTestShards(2);
    for (let count = 0; count < 10_050; count += 1) {
      await store.insert(inShard(0, { method: "x.v1.X/Run" }));
    }
    const oldest = inShard(1, { method: "x.v1.X/Stop" });
    await store.insert(oldest);
    const filter = { kind: "method-in" as const, methods: ["x.v1.X/Stop"] };
    const query = { parent: "shelves/-", principal: undefined, filter, limit: 5 };
    const first = await store.list({ ...query, after: undefined });
    assert.ok(first.next !== undefined);
    assert.deepEqual(await walk(store, 5, filter), [oldest.name]);
  });

  it("scale 38: filters over all shards match what matchesFilter does", async () => {
    const { store, clocks } = createTestShards(3);
    for (let count = 0; count < 30; count += 1) {
      await clocks[count % 3]?.advance(count % 5);
      const operation = inShard(count % 3, { principal: `users/${count % 4}` });
      await store.insert(operation);
      if (count % 2 === 0) await store.claim(operation.name);
    }
    const all = await walk(store, 100);
    const filters: OperationFilter[] = [
      { kind: "state-in", states: ["running"] },
      { kind: "text", column: "principal", operator: "=", value: "users/1" },
      { kind: "or", operands: [{ kind: "attempt", operator: "=", value: 0 }] },
    ];
    for (const filter of filters) {
      const records = await Promise.all(all.map((name) => store.get(name)));
      const expected = records.flatMap((record) =>
        record !== undefined && matchesFilter(filter, record) ? [record.name] : [],
      );
      assert.deepEqual(await walk(store, 4, filter), expected);
    }
  });

  it("scale 39: a list of one parent asks one shard", async () => {
    const { store, fragile } = createTestShards(2);
    for (const { calls } of fragile) calls.length = 0;
    const query = { principal: undefined, filter: undefined, after: undefined, limit: 5 };
    await store.list({ ...query, parent: "shelves/1" });
    assert.deepEqual(
      fragile.map(({ calls }) => calls),
      [[], ["list"]],
    );
  });

  it("scale 40: operations of a shard that is away are UNAVAILABLE, and others are not harmed", async () => {
    const { store, fragile } = createTestShards(2);
    const here = anInsert({ parent: "shelves/0", name: "shelves/0/operations/a" });
    const there = anInsert({ parent: "shelves/1", name: "shelves/1/operations/a" });
    await store.insert(here);
    await store.insert(there);
    const away = fragile[1];
    if (away !== undefined) away.state.mode = "away";
    assert.equal((await rejectionOf(store.get(there.name))).code, Code.Unavailable);
    assert.equal((await rejectionOf(store.hide(there.name))).code, Code.Unavailable);
    assert.equal((await store.get(here.name))?.name, here.name);
  });

  it("scale 43, 44: a transaction belongs to the first shard that it reaches", async () => {
    const folder = await createTemporaryFolder();
    const sqlite = async (name: string) => ({
      store: await createSqliteStore({ path: join(folder, name) }),
      dispatcher: createInProcessDispatcher(),
      signals: createInProcessSignals(),
    });
    const parts = [await sqlite("0.db"), await sqlite("1.db")];
    const { store } = createShards(parts, { shardOf: byDigit(2) });
    onTestFinished(() => store.close());
    const first = anInsert({ parent: "shelves/0", name: "shelves/0/operations/b" });
    const second = anInsert({ parent: "shelves/1", name: "shelves/1/operations/b" });
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
      await store.insert(first, { transaction });
      const { rows } = (await transaction?.executeSql("select name from operations", [])) ?? {};
      assert.deepEqual(rows?.length, 1);
      // An exception of a callback ends neither the process nor the other callbacks.
      transaction?.afterCommit?.(() => {
        throw new Error("the callback failed");
      });
      transaction?.afterCommit?.(committed.resolve);
    });
    await committed.promise;
    assert.equal((await store.get(first.name))?.name, first.name);
    assert.equal(await store.transaction(async () => 7), 7);
  });

  it("scale 45: operations of one resource key in two shards run at the same time", async () => {
    const { store } = createTestShards(2);
    const resourceKey = "printers/1";
    for (const shard of [0, 1]) {
      const outcome = await store.insert(inShard(shard, { resourceKey }));
      assert.equal(outcome.kind === "inserted" && outcome.record.state, "queued");
    }
  });

  it.each([
    ["first", "away", 0],
    ["first", "hanging", 0],
    ["last", "away", 2],
    ["last", "hanging", 2],
  ] as const)(
    "scale 46: deadlines, expiry and unfinished work cover all shards, if the %s one is %s",
    async (_, mode, missing) => {
      const { store, fragile } = createTestShards(3);
      const names: string[] = [];
      for (const shard of [0, 1, 2]) {
        const name = `shelves/${shard}/operations/c`;
        names.push(name);
        await store.insert(
          anInsert({ parent: `shelves/${shard}`, name, deadlineMs: 0, retentionMs: 0 }),
        );
      }
      const away = fragile[missing];
      if (away !== undefined) away.state.mode = mode;
      const rest = names.filter((_, shard) => shard !== missing);
      const query = { after: undefined, limit: 10 };
      const unfinished = await store.unfinished(query);
      assert.deepEqual(unfinished.records.map(({ name }) => name).sort(), rest);
      const { ended } = await store.endOverdue(results, 10);
      assert.deepEqual(ended.map(({ name }) => name).sort(), rest);
      assert.equal(await store.expire(10), 2);
    },
  );

  it("scale 47: counts add up", async () => {
    const folder = await createTemporaryFolder();
    const parts = await Promise.all(
      [0, 1].map(async (shard) => ({
        store: await createSqliteStore({ path: join(folder, `${shard}.db`) }),
        dispatcher: createInProcessDispatcher(),
        signals: createInProcessSignals(),
      })),
    );
    const { store } = createShards(parts, { shardOf: byDigit(2) });
    onTestFinished(() => store.close());
    const names: string[] = [];
    for (const shard of [0, 1, 1]) {
      const operation = inShard(shard, { method: "x.v1.X/Run" });
      names.push(operation.name);
      await store.insert(operation);
    }
    const { open, lost } = await store.counts();
    const oldest = await store.get(names[0] ?? "");
    assert.deepEqual(open, [
      {
        method: "x.v1.X/Run",
        state: "queued",
        operations: 3,
        oldestTimeMicros: oldest?.createTimeMicros,
      },
    ]);
    assert.deepEqual(lost, []);
  });

  it.each<[string, ShardsOptions["shardOf"]]>([
    ["a number beyond the last shard", () => 2],
    ["a negative number", () => -1],
    ["a fraction", () => 0.5],
    [
      "another number each time",
      (() => {
        let count = 0;
        return () => ((count++ >> 1) % 2 === 0 ? count % 2 : 0);
      })(),
    ],
  ])("scale 49: refuses a shardOf that returns %s", (_, shardOf) => {
    assert.throws(() => createTestShards(2, { shardOf }), RangeError);
    assert.throws(() => createShards([]), RangeError);
  });

  it("scale 50: closes every shard, also beside one that hangs", async () => {
    const { store, fragile } = createTestShards(3);
    const [hanging] = fragile;
    if (hanging !== undefined) hanging.state.mode = "hanging";
    void store.close();
    assert.deepEqual(
      fragile.map(({ calls }) => calls.at(-1)),
      ["close", "close", "close"],
    );
  });
});

describe("a server over shards", () => {
  async function createShardServer() {
    const shards = createTestShards(2, { place: (shard) => `locations/${shard}` });
    const operations = createOperations({ ...shards, pageTokenKey: new Uint8Array(32).fill(7) });
    onTestFinished(() => operations.shutdown({ graceMs: 100 }));
    const rpc = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, operations.service)),
    );
    return { ...shards, operations, rpc };
  }

  it("scale 48: runs the work of every shard, and wakes its waiters", async () => {
    const { operations, rpc } = await createShardServer();
    operations.handle(Print, async ({ request }) => ({ pages: request.pages }));
    for (const shard of [0, 1]) {
      const { name } = await operations.start(Print, { parent: `shelves/${shard}`, pages: 3 });
      const waited = await rpc.waitOperation({ name, timeout: { seconds: 20n } });
      assert.equal(waited.done, true);
    }
  });

  it("scale 37: refuses a page token of another number of shards", async () => {
    const { operations, rpc } = await createShardServer();
    for (let count = 0; count < 3; count += 1) {
      await operations.create(Print, { parent: "shelves/0" });
    }
    const { nextPageToken } = await rpc.listOperations({ name: "shelves/-", pageSize: 1 });
    assert.notEqual(nextPageToken, "");
    const other = createTestShards(3);
    const more = createOperations({ ...other, pageTokenKey: new Uint8Array(32).fill(7) });
    onTestFinished(() => more.shutdown());
    const elsewhere = createClient(
      Operations,
      createRouterTransport((router) => router.service(Operations, more.service)),
    );
    const list = { name: "shelves/-", pageSize: 1, pageToken: nextPageToken };
    assert.equal((await rpc.listOperations(list)).operations.length, 1);
    const error = await rejectionOf(elsewhere.listOperations(list));
    assert.equal(error.code, Code.InvalidArgument);
  });

  it.each(["away", "hanging"] as const)(
    "scale 41, 42: lists the rest beside a shard that is %s, and no operation twice",
    async (mode) => {
      const { operations, rpc, fragile } = await createShardServer();
      const names: string[] = [];
      for (let count = 0; count < 6; count += 1) {
        const parent = `shelves/${count % 2}`;
        names.push((await operations.create(Print, { parent })).name);
      }
      const [, away] = fragile;
      assert.ok(away);
      away.state.mode = mode;
      const whole = { name: "shelves/-", pageSize: 1 };
      const error = await rejectionOf(rpc.listOperations(whole));
      assert.equal(error.code, Code.Unavailable);
      const partial = { ...whole, returnPartialSuccess: true };
      const first = await rpc.listOperations(partial);
      assert.deepEqual(first.unreachable, ["locations/1"]);
      const met = first.operations.map(({ name }) => name);
      const second = await rpc.listOperations({ ...partial, pageToken: first.nextPageToken });
      assert.deepEqual(second.unreachable, ["locations/1"]);
      met.push(...second.operations.map(({ name }) => name));
      away.state.mode = "up";
      for (let pageToken = second.nextPageToken; pageToken !== ""; ) {
        const page = await rpc.listOperations({ ...partial, pageToken });
        assert.deepEqual(page.unreachable, []);
        met.push(...page.operations.map(({ name }) => name));
        pageToken = page.nextPageToken;
      }
      assert.equal(new Set(met).size, met.length);
      for (const name of names.filter((each) => each.startsWith("shelves/0"))) {
        assert.ok(met.includes(name));
      }
      const changed = { ...whole, pageToken: first.nextPageToken };
      assert.equal((await rejectionOf(rpc.listOperations(changed))).code, Code.InvalidArgument);
    },
  );

  it("server 52: takes return_partial_success for names with a wildcard alone", async () => {
    const { rpc } = await createShardServer();
    const one = rpc.listOperations({ name: "shelves/1", returnPartialSuccess: true });
    assert.equal((await rejectionOf(one)).code, Code.InvalidArgument);
  });
});
