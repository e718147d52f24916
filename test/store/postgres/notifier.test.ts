import assert from "node:assert/strict";
import pg from "pg";
import { beforeAll, describe, it } from "vitest";
import { createDatabase } from "../../../src/store/postgres/database.js";
import type { PostgresObserver, PostgresPool } from "../../../src/store/postgres/index.js";
import { createNotificationListener } from "../../../src/store/postgres/index.js";
import { createNotifier } from "../../../src/store/postgres/notifier.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { verbOf, watchedPool } from "../../support/postgres/watched-pool.js";

const channel = "notifier_test";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

function watched(before: Parameters<typeof watchedPool>[1]): PostgresPool {
  return watchedPool(database.pool, before);
}

function aNotifier(pool: PostgresPool, observer?: PostgresObserver) {
  const ofPool = createDatabase(pool);
  return { database: ofPool, notifier: createNotifier({ database: ofPool, channel, observer }) };
}

/** The payloads that a channel receives, up to and including the last. */
async function listen(last: string) {
  const listener = createNotificationListener({
    newClient: () => new pg.Client({ connectionString: database.url }),
  });
  const heard: string[] = [];
  const ended = createDeferred();
  await listener.listen(channel, {
    notified(payload) {
      heard.push(payload);
      if (payload === last) ended.resolve();
    },
    missed: () => undefined,
  });
  return {
    async all() {
      await ended.promise;
      await listener.close();
      return heard;
    },
  };
}

describe("Notifier", () => {
  it("sends what is gathered while a statement is under way by the next one, each payload once", async () => {
    const sent: unknown[] = [];
    const gate = createDeferred();
    const { notifier } = aNotifier(
      watched(async (_, [, payloads]) => {
        sent.push(payloads);
        await gate.promise;
      }),
    );
    const listening = await listen("last");
    for (const payload of ["first", "a", "b", "a", "last"]) await notifier.notify(payload);
    gate.resolve();
    assert.deepEqual(await listening.all(), ["first", "a", "b", "last"]);
    assert.deepEqual(sent, [["first"], ["a", "b", "last"]]);
    await notifier.close();
  });

  it("sends after its transaction has committed, and nothing of one that was rolled back", async () => {
    const texts: string[] = [];
    const { database: ofPool, notifier } = aNotifier(
      watched((text) => {
        texts.push(verbOf(text));
      }),
    );
    const listening = await listen("committed");
    const rolledBack = ofPool.transaction(async (transaction) => {
      await notifier.notify("rolled back", { transaction });
      throw new Error("roll back");
    });
    await assert.rejects(rolledBack, { message: "roll back" });
    await ofPool.transaction((transaction) => notifier.notify("committed", { transaction }));
    assert.deepEqual(await listening.all(), ["committed"]);
    assert.deepEqual(texts, ["begin", "rollback", "begin", "commit", "select"]);
    await notifier.close();
  });

  it("has the NOTIFY in a transaction that does not say when it commits", async () => {
    const { notifier } = aNotifier(database.pool);
    const listening = await listen("committed");
    const client = await database.pool.connect();
    const transaction = {
      executeSql: (text: string, values: unknown[]) => client.query(text, values),
    };
    await client.query("begin");
    await notifier.notify("rolled back", { transaction });
    await client.query("rollback");
    await client.query("begin");
    await notifier.notify("committed", { transaction });
    await client.query("commit");
    client.release();
    assert.deepEqual(await listening.all(), ["committed"]);
    await notifier.close();
  });

  it("tells the observer what could not be sent, and sends what comes then", async () => {
    const lost = createDeferred<unknown>();
    let isBroken = true;
    const { notifier } = aNotifier(
      watched(() => {
        if (isBroken) throw new Error("cut");
      }),
      { notificationsLost: lost.resolve },
    );
    const listening = await listen("later");
    await notifier.notify("lost");
    const event = await lost.promise;
    assert.ok(typeof event === "object" && event !== null && "cause" in event);
    assert.deepEqual({ ...event, cause: undefined }, { channel, count: 1, cause: undefined });
    assert.match(String(event.cause), /the database cannot be reached now/);
    isBroken = false;
    await notifier.notify("later");
    assert.deepEqual(await listening.all(), ["later"]);
    await notifier.close();
  });

  it("loses a payload that no NOTIFY can have, and not those beside it", async () => {
    const counts: number[] = [];
    const { notifier } = aNotifier(database.pool, {
      notificationsLost: ({ count }) => counts.push(count),
    });
    const listening = await listen("short");
    await notifier.notify("é".repeat(4000));
    await notifier.notify("short");
    assert.deepEqual(await listening.all(), ["short"]);
    assert.deepEqual(counts, [1]);
    await notifier.close();
  });

  it("gathers 10000 payloads at most", async () => {
    const gate = createDeferred();
    const sizes: number[] = [];
    let lost = 0;
    const { notifier } = aNotifier(
      watched(async (_, [, payloads]) => {
        sizes.push(Array.isArray(payloads) ? payloads.length : Number.NaN);
        await gate.promise;
      }),
      {
        notificationsLost: ({ count }) => {
          lost += count;
        },
      },
    );
    for (let at = 0; at <= 10_001; at += 1) await notifier.notify(String(at));
    gate.resolve();
    await notifier.close();
    assert.deepEqual({ sizes, lost }, { sizes: [1, 10_000], lost: 1 });
  });

  it("sends what it has gathered before its close resolves, and nothing that comes then", async () => {
    const sent: unknown[] = [];
    const gate = createDeferred();
    const { notifier } = aNotifier(
      watched(async (_, [, payloads]) => {
        sent.push(payloads);
        await gate.promise;
      }),
    );
    await notifier.notify("one");
    await notifier.notify("two");
    const closed = notifier.close();
    await notifier.notify("three");
    gate.resolve();
    await closed;
    assert.deepEqual(sent, [["one"], ["two"]]);
  });
});
