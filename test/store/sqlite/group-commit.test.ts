import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { standardDetailsOf } from "../../../src/status/index.js";
import type { OperationStore, Transaction } from "../../../src/store/index.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { createManualClock } from "../../../src/testing/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createDeferred } from "../../support/deferred.js";
import { rejectionOf } from "../../support/rejection.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { createFaultyDriver } from "./faulty-driver.js";

const response = { kind: "response", value: Uint8Array.of(1) } as const;

/** Primary result codes of SQLite. */
const sqliteCorrupt = 11;
const sqliteFull = 13;
const sqliteIoError = 10;

async function openFaultyStore() {
  const clock = createManualClock();
  const driver = await createFaultyDriver();
  const path = join(await createTemporaryFolder(), "operations.db");
  const store = await createSqliteStore({
    path,
    driver: driver.open,
    clock,
    maxTransactionMs: 500,
  });
  onTestFinished(() => store.close());
  return { clock, driver, store };
}

const reasonOf = (error: ConnectError) => standardDetailsOf(error).errorInfo?.reason;

/** Insert under a transaction, which has to be there. */
async function insertIn(store: OperationStore, transaction: Transaction | undefined) {
  const operation = anInsert();
  await store.insert(operation, { transaction });
  return operation.name;
}

describe("group commit", () => {
  it("brings what many callers write at once to the disk with one commit", async () => {
    const { store, driver } = await openFaultyStore();
    driver.statements.length = 0;
    await Promise.all(Array.from({ length: 50 }, () => store.insert(anInsert())));
    expect(driver.statements.filter((text) => text === "commit")).toHaveLength(1);
  });

  it("shows a write to no waiter and no reader before it is committed", async () => {
    const { store, driver } = await openFaultyStore();
    const operation = anInsert();
    let read: Promise<unknown> = Promise.resolve();
    driver.statements.length = 0;
    await store.transaction(async (transaction) => {
      await store.insert(operation, { transaction });
      read = store.get(operation.name).then((record) => [record?.name, driver.statements.at(-1)]);
    });
    expect(await read).toEqual([operation.name, "commit"]);
  });

  it("answers reads at once without a transaction if no write is waiting", async () => {
    const { store, driver } = await openFaultyStore();
    driver.statements.length = 0;
    await store.get("operations/none");
    expect(driver.statements).toHaveLength(1);
  });

  it("says that the disk is full to all of a group whose commit has no room", async () => {
    const { store, driver } = await openFaultyStore();
    const kept = anInsert();
    await store.insert(kept);
    driver.failNext("commit", sqliteFull);
    const calls = [store.insert(anInsert()), store.claim(kept.name), store.hide(kept.name)];
    for (const error of await Promise.all(calls.map(rejectionOf))) {
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(reasonOf(error)).toBe("DISK_FULL");
      expect(error.message).not.toContain("secret");
    }
    expect((await store.get(kept.name))?.state).toBe("queued");
    expect((await store.insert(anInsert())).kind).toBe("inserted");
  });

  it("fails a whole group with a retryable error if its commit fails, and writes nothing", async () => {
    const { store, driver } = await openFaultyStore();
    driver.failNext("commit", sqliteIoError);
    const operations = [anInsert(), anInsert()];
    const errors = await Promise.all(
      operations.map((operation) => rejectionOf(store.insert(operation))),
    );
    for (const error of errors) {
      expect(error.code).toBe(Code.Unavailable);
      expect(reasonOf(error)).toBe("DATABASE_UNAVAILABLE");
      expect(error.message).not.toContain("secret");
    }
    for (const { name } of operations) expect(await store.get(name)).toBeUndefined();
    expect((await store.insert(anInsert())).kind).toBe("inserted");
  });

  it("fails one caller alone whose statement fails", async () => {
    const { store, driver } = await openFaultyStore();
    driver.failNext("insert into operations", sqliteFull);
    const [first, second] = await Promise.all([
      rejectionOf(store.insert(anInsert())),
      store.insert(anInsert()),
    ]);
    expect(first.code).toBe(Code.ResourceExhausted);
    expect(reasonOf(first)).toBe("DISK_FULL");
    expect(second.kind).toBe("inserted");
  });

  it("fails all of a group whose transaction SQLite has undone, and goes on with the next", async () => {
    const { store, driver } = await openFaultyStore();
    const kept = anInsert();
    await store.insert(kept);
    const early = anInsert();
    const inserted = rejectionOf(store.insert(early));
    const claimed = rejectionOf(store.claim(kept.name));
    const late = store.insert(anInsert());
    driver.failNext("update operations", sqliteIoError, true);
    for (const error of [await inserted, await claimed]) expect(error.code).toBe(Code.Unavailable);
    expect((await late).kind).toBe("inserted");
    expect(await store.get(early.name)).toBeUndefined();
    expect((await store.claim(kept.name))?.attempt).toBe(1);
  });

  it("says DATA_LOSS of a file that turns out damaged", async () => {
    const { store, driver } = await openFaultyStore();
    driver.failNext("select", sqliteCorrupt);
    const error = await rejectionOf(store.get("operations/1"));
    expect(error.code).toBe(Code.DataLoss);
    expect(error.message).not.toContain("secret");
  });

  it("fails all waiting calls if no transaction can begin", async () => {
    const { store, driver } = await openFaultyStore();
    driver.failNext("begin", sqliteIoError);
    const calls = [store.insert(anInsert()), store.transaction(async () => "never")];
    for (const call of calls) expect((await rejectionOf(call)).code).toBe(Code.Unavailable);
    expect((await store.insert(anInsert())).kind).toBe("inserted");
  });

  it("finishes what was called before it was closed, and refuses what comes after", async () => {
    const { store } = await openFaultyStore();
    const inserted = store.insert(anInsert());
    const closed = store.close();
    expect((await inserted).kind).toBe("inserted");
    expect(reasonOf(await rejectionOf(store.transaction(async () => 1)))).toBe("STORE_CLOSED");
    expect(reasonOf(await rejectionOf(store.insert(anInsert())))).toBe("STORE_CLOSED");
    await closed;
    await store.close();
  });
});

describe("a transaction of a SQLite store", () => {
  it("keeps others waiting while its work waits, and they see all of it then", async () => {
    const { store } = await openFaultyStore();
    const goOn = createDeferred<void>();
    const begun = createDeferred<string>();
    const order: string[] = [];
    const transaction = store.transaction(async (own) => {
      const name = await insertIn(store, own);
      begun.resolve(name);
      await goOn.promise;
      order.push("work");
    });
    const name = await begun.promise;
    const read = store.get(name).then((record) => {
      order.push("read");
      return record;
    });
    goOn.resolve(undefined);
    await transaction;
    expect((await read)?.name).toBe(name);
    expect(order).toEqual(["work", "read"]);
  });

  it("is rolled back alone: the writes of others in its group stay", async () => {
    const { store } = await openFaultyStore();
    const before = anInsert();
    const after = anInsert();
    let undone = "";
    const outcomes = await Promise.allSettled([
      store.insert(before),
      store.transaction(async (transaction) => {
        undone = await insertIn(store, transaction);
        throw new ConnectError("no", Code.InvalidArgument);
      }),
      store.insert(after),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await store.get(before.name)).toBeDefined();
    expect(await store.get(undone)).toBeUndefined();
    expect(await store.get(after.name)).toBeDefined();
  });

  it("rejects with its work's error, even one thrown synchronously", async () => {
    const { store } = await openFaultyStore();
    const thrown = new Error("at once");
    const call = store.transaction(() => {
      throw thrown;
    });
    await expect(call).rejects.toBe(thrown);
  });

  it("is rolled back when its work takes too long, so that waiting for itself ends", async () => {
    const { clock, store } = await openFaultyStore();
    const begun = createDeferred<string>();
    let late: Promise<unknown> = Promise.resolve();
    const transaction = rejectionOf(
      store.transaction(async (own) => {
        const name = await insertIn(store, own);
        begun.resolve(name);
        // Without the transaction: it waits for itself.
        await store.insert(anInsert());
        late = rejectionOf(store.insert(anInsert(), { transaction: own }));
      }),
    );
    const name = await begun.promise;
    await clock.advance(500);
    const error = await transaction;
    expect(error.code).toBe(Code.Aborted);
    expect(reasonOf(error)).toBe("TRANSACTION_TIMED_OUT");
    expect(await store.get(name)).toBeUndefined();
    await store.insert(anInsert());
    expect(await late).toMatchObject({ code: Code.FailedPrecondition });
    expect(clock.scheduled()).toBe(0);
  });

  it("takes part of no call once it is over, nor of another store's calls", async () => {
    const { store } = await openFaultyStore();
    const { store: other } = await openFaultyStore();
    let kept: Transaction | undefined;
    await store.transaction(async (transaction) => {
      kept = transaction;
      const refused = await rejectionOf(other.insert(anInsert(), { transaction }));
      expect(reasonOf(refused)).toBe("TRANSACTION_UNSUPPORTED");
    });
    const late = await rejectionOf(store.insert(anInsert(), { transaction: kept }));
    expect(reasonOf(late)).toBe("TRANSACTION_OVER");
    await expect(kept?.executeSql("select 1", [])).rejects.toThrow("the transaction is over");
  });

  it("calls back after its commit, and not after a rollback", async () => {
    const { driver, store } = await openFaultyStore();
    const heard: string[] = [];
    await store.transaction(async (transaction) => {
      transaction?.afterCommit?.(() => heard.push(driver.statements.at(-1) ?? ""));
    });
    const failed = store.transaction(async (transaction) => {
      transaction?.afterCommit?.(() => heard.push("rolled back"));
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    driver.failNext("commit", sqliteIoError);
    const lost = store.transaction(async (transaction) => {
      transaction?.afterCommit?.(() => heard.push("lost"));
    });
    await rejectionOf(lost);
    expect(heard).toEqual(["commit"]);
  });

  it("writes nothing after SQLite has undone it, whatever its work makes of that", async () => {
    const { driver, store } = await openFaultyStore();
    const kept = anInsert();
    await store.insert(kept);
    let late = "";
    const error = await rejectionOf(
      store.transaction(async (transaction) => {
        driver.failNext("update operations", sqliteIoError, true);
        await rejectionOf(store.claim(kept.name, { transaction }));
        late = await insertIn(store, transaction);
        return "as if nothing had been";
      }),
    );
    expect(error.code).toBe(Code.Unavailable);
    expect(await store.get(late)).toBeUndefined();
    expect((await store.get(kept.name))?.state).toBe("queued");
  });

  it("carries the user's own rows in the same commit", async () => {
    const { store } = await openFaultyStore();
    const values = ["a", 1, 2n, null, undefined, true, Uint8Array.of(7)];
    await store.transaction((transaction) =>
      present(transaction).executeSql("create table prints (a, b, c, d, e, f, g)", []),
    );
    const name = await store.transaction(async (transaction) => {
      await present(transaction).executeSql("insert into prints values (?,?,?,?,?,?,?)", values);
      return insertIn(store, transaction);
    });
    const failed = store.transaction(async (transaction) => {
      await present(transaction).executeSql("delete from prints", []);
      await store.finish({ name, attempt: 1 }, response, undefined, { transaction });
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    const { rows } = await store.transaction((transaction) =>
      present(transaction).executeSql("select count(*) as count from prints where a = ?", ["a"]),
    );
    expect(rows).toEqual([expect.objectContaining({ count: 1 })]);
    expect(await store.get(name)).toBeDefined();
  });

  it.each([
    "begin",
    " COMMIT",
    "rollback",
    "savepoint s",
    "release member",
    "pragma user_version = 9",
    "explain select 1",
    "vacuum",
    "attach 'x' as x",
    "selection",
    "-- c\nselect 1",
  ])("takes no statement that is not of a transaction's inside: %s", async (text) => {
    const { store } = await openFaultyStore();
    const others = store.insert(anInsert());
    const refused = store.transaction((transaction) => present(transaction).executeSql(text, []));
    await expect(refused).rejects.toThrow(TypeError);
    expect((await others).kind).toBe("inserted");
  });

  it("passes the driver's errors to the user's statement, including unsupported values", async () => {
    const { store, driver } = await openFaultyStore();
    driver.failNext("select 5", sqliteIoError);
    const failed = store.transaction((transaction) =>
      present(transaction).executeSql("select 5", []),
    );
    await expect(failed).rejects.toThrow("secret of the driver");
    const refused = store.transaction((transaction) =>
      present(transaction).executeSql("select ?", [new Date()]),
    );
    await expect(refused).rejects.toThrow(
      new TypeError("value 1 must be text, a number, bytes or null"),
    );
  });
});

function present(transaction: Transaction | undefined): Transaction {
  if (transaction === undefined) throw new Error("expected a transaction");
  return transaction;
}
