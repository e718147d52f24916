import { spawnSync } from "node:child_process";
import { open, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { standardDetailsOf } from "../../../src/status/index.js";
import type { OperationStore } from "../../../src/store/index.js";
import {
  type CountingStore,
  createSqliteStore,
  type SqliteStoreOptions,
} from "../../../src/store/sqlite/index.js";
import { loadDriver } from "../../../src/store/sqlite/load-driver.js";
import { operationsTable } from "../../../src/store/sqlite/migration-001-operations.js";
import { createManualClock } from "../../../src/testing/index.js";
import { anInsert } from "../../support/an-insert.js";
import { rejectionOf } from "../../support/rejection.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { countsByMethodAndState } from "../counts-case.js";
import { drivers } from "./drivers.js";

const response = { kind: "response", value: Uint8Array.of(1) } as const;
const failure = { kind: "error", value: Uint8Array.of(2) } as const;

async function newPath(): Promise<string> {
  return join(await createTemporaryFolder(), "operations.db");
}

/** A store that is closed with the test. */
async function openStore(options: SqliteStoreOptions): Promise<CountingStore> {
  const store = await createSqliteStore(options);
  onTestFinished(() => store.close());
  return store;
}

/** The error of a refused file: its code, its reason and its message. */
async function refusalOf(options: SqliteStoreOptions) {
  const error = await rejectionOf(createSqliteStore(options));
  const { reason } = standardDetailsOf(error).errorInfo ?? {};
  return { code: error.code, reason, message: error.message };
}

async function listNames(store: OperationStore, parent: string): Promise<string[]> {
  const all = { parent, principal: undefined, filter: undefined, after: undefined, limit: 100 };
  return (await store.list(all)).records.map(({ name }) => name);
}

describe.each(drivers)("a SQLite store by %s", (driver) => {
  it("counts what is open, by method and state, and the attempts that were lost", async () => {
    await countsByMethodAndState(await openStore({ path: await newPath(), driver }));
  });

  it("keeps payloads apart that are empty and that are missing", async () => {
    const store = await openStore({ path: await newPath(), driver });
    const empty = () => new Uint8Array(new ArrayBuffer(0));
    const operation = anInsert({ request: empty(), metadata: empty() });
    await store.insert(operation);
    await store.claim(operation.name);
    await store.report({ name: operation.name, attempt: 1 }, { checkpoint: empty() });
    const record = await store.get(operation.name);
    expect([record?.request, record?.metadata, record?.checkpoint]).toEqual([
      new Uint8Array(),
      new Uint8Array(),
      new Uint8Array(),
    ]);
  });

  it("finds all as it was after it was closed and opened again", async () => {
    const path = await newPath();
    const requestId = { scope: "a\u0000b\\0", id: "1", fingerprint: Uint8Array.of(3), windowMs: 5 };
    const operation = anInsert({
      principal: "users/\u0000\\ann",
      metadata: Uint8Array.of(9),
      deadlineMs: 60_000,
      resourceKey: "printers/1",
      requestId,
    });
    const first = await createSqliteStore({ path, driver });
    await first.insert(operation);
    await first.claim(operation.name);
    await first.report({ name: operation.name, attempt: 1 }, { checkpoint: Uint8Array.of(7) });
    await first.requestCancel(operation.name, failure);
    const before = await first.get(operation.name);
    await first.close();
    const second = await openStore({ path, driver });
    expect(await second.get(operation.name)).toEqual(before);
    expect(before).toMatchObject({ ...operation, state: "running", attempt: 1 });
    expect(before?.checkpoint).toEqual(Uint8Array.of(7));
  });

  it("stamps strictly growing times although the clock is set back, also over a restart", async () => {
    const path = await newPath();
    let nowMs = 5000;
    const clock = { ...createManualClock(), nowMs: () => nowMs };
    const times: number[] = [];
    for (const at of [5000, 5000, 4000, 5001]) {
      nowMs = at;
      const store = await createSqliteStore({ path, driver, clock });
      const outcome = await store.insert(anInsert());
      if (outcome.kind === "inserted") times.push(outcome.record.createTimeMicros);
      await store.close();
    }
    expect(times).toEqual([5_000_000, 5_000_001, 5_000_002, 5_001_000]);
  });

  it("expires a done operation when its retention is over, by its clock", async () => {
    const clock = createManualClock();
    const store = await openStore({ path: await newPath(), driver, clock });
    const { name } = anInsert();
    await store.insert({ ...anInsert(), name, result: response });
    await clock.advance(999);
    expect((await store.get(name))?.state).toBe("done");
    expect(await store.expire(10)).toBe(0);
    await clock.advance(1);
    expect(await store.get(name)).toBeUndefined();
    expect(await store.expire(10)).toBe(1);
  });

  it("forgets a request id when its window is over, and its name then is free", async () => {
    const clock = createManualClock();
    const store = await openStore({ path: await newPath(), driver, clock });
    const requestId = { scope: "s", id: "1", fingerprint: new Uint8Array(), windowMs: 2000 };
    const operation = anInsert({ requestId, result: response });
    await store.insert(operation);
    await clock.advance(1500);
    expect(await store.expire(10)).toBe(1);
    expect(await store.insert(anInsert({ requestId }))).toEqual({
      kind: "spent",
      name: operation.name,
    });
    expect((await store.insert({ ...operation, requestId: undefined })).kind).toBe("name-taken");
    await clock.advance(500);
    await store.expire(10);
    expect((await store.insert(operation)).kind).toBe("inserted");
  });

  it("makes a file that its owner alone can read, and no other beside it once it is closed", async () => {
    const path = await newPath();
    const store = await createSqliteStore({ path, driver });
    await store.insert(anInsert());
    for (const file of await readdir(join(path, ".."))) {
      const { mode } = await stat(join(path, "..", file));
      expect((mode & 0o777).toString(8), file).toBe("600");
    }
    await store.close();
    expect(await readdir(join(path, ".."))).toEqual(["operations.db"]);
  });

  it("refuses a file that this process has open, and opens it once that is closed", async () => {
    const path = await newPath();
    const first = await createSqliteStore({ path, driver });
    for (const second of drivers) {
      expect(await refusalOf({ path, driver: second })).toMatchObject({
        code: Code.FailedPrecondition,
        reason: "DATABASE_IN_USE",
      });
    }
    await first.insert(anInsert({ name: "operations/kept" }));
    await first.close();
    const second = await openStore({ path, driver });
    expect(await second.get("operations/kept")).toBeDefined();
  });

  it("keeps another process out, which then says what to do", async () => {
    const path = await newPath();
    await openStore({ path, driver });
    const script = `
      const { createSqliteStore } = await import(${JSON.stringify(
        new URL("../../../src/store/sqlite/index.ts", import.meta.url).href,
      )});
      await createSqliteStore(${JSON.stringify({ path, driver })}).catch((error) => console.log(error.message));`;
    const { stdout } = spawnSync(
      process.execPath,
      ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", script],
      { encoding: "utf8" },
    );
    expect(stdout).toContain("operations.db is open elsewhere: stop the server or the tool");
  });

  it("refuses a file that is not a database, a foreign database and a newer version", async () => {
    const folder = await createTemporaryFolder();
    const openFile = await loadDriver(driver);
    const junk = join(folder, "junk");
    await writeFile(junk, "this is no database. ".repeat(100));
    const foreign = join(folder, "foreign.db");
    const theirs = openFile(foreign);
    theirs.exec("create table albums (title text)");
    theirs.close();
    const newer = join(folder, "newer.db");
    await (await createSqliteStore({ path: newer, driver })).close();
    const later = openFile(newer);
    later.exec("pragma user_version = 99");
    later.close();
    expect(await refusalOf({ path: junk, driver })).toMatchObject({ reason: "DATABASE_FOREIGN" });
    expect(await refusalOf({ path: foreign, driver })).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "DATABASE_FOREIGN",
      message: expect.stringContaining("the table albums"),
    });
    expect(await refusalOf({ path: newer, driver })).toMatchObject({ reason: "DATABASE_TOO_NEW" });
    const opened = openFile(foreign);
    expect(opened.prepare("select name from sqlite_schema").all()).toHaveLength(1);
    opened.close();
  });

  it("runs on a file that a newer program has migrated, where its steps say so", async () => {
    const openFile = await loadDriver(driver);
    const path = await newPath();
    await (await createSqliteStore({ path, driver })).close();
    const migrateTo = (version: number, oldestProgram: number) => {
      const newer = openFile(path);
      newer.exec(`insert into operations_migrations values (${version}, ${oldestProgram})`);
      newer.exec(`pragma user_version = ${version}`);
      newer.close();
    };
    migrateTo(98, 2);
    const store = await createSqliteStore({ path, driver });
    expect((await store.insert(anInsert())).kind).toBe("inserted");
    await store.close();
    const after = openFile(path);
    expect(after.prepare("pragma user_version").all()).toMatchObject([{ user_version: 98 }]);
    after.close();
    migrateTo(99, 99);
    expect(await refusalOf({ path, driver })).toMatchObject({ reason: "DATABASE_TOO_NEW" });
  });

  it("migrates a file of the first version to the current one, with its records", async () => {
    const openFile = await loadDriver(driver);
    const path = await newPath();
    const first = openFile(path);
    first.exec(operationsTable);
    first.exec(`insert into operations
      (create_time, name, parent, method, principal, external, state, retention_ms, update_time, request)
      values (1, 'p/operations/1', 'p', 'm', 'users/ann', 0, 'queued', 1000, 1, x'')`);
    first.exec("pragma application_id = 1280462672");
    first.exec("pragma user_version = 1");
    first.close();
    const store = await createSqliteStore({ path, driver });
    const { records } = await store.list({
      parent: "p",
      principal: "users/ann",
      filter: undefined,
      after: undefined,
      limit: 10,
    });
    expect(records.map(({ name }) => name)).toEqual(["p/operations/1"]);
    await store.close();
    const after = openFile(path);
    expect(after.prepare("select * from operations_migrations").all()).toMatchObject([
      { version: 1, oldest_program: 1 },
      { version: 2, oldest_program: 1 },
      { version: 3, oldest_program: 1 },
    ]);
    after.close();
  });

  it("refuses a path that cannot be a file's, and says what it needs", async () => {
    const path = join(await createTemporaryFolder(), "missing", "operations.db");
    expect(await refusalOf({ path, driver })).toMatchObject({
      code: Code.FailedPrecondition,
      reason: "DATABASE_UNOPENABLE",
    });
    for (const none of ["", ":memory:", "file:operations.db"]) {
      await expect(createSqliteStore({ path: none, driver })).rejects.toThrow(RangeError);
    }
  });

  it("refuses invalid limits, by their names", async () => {
    const path = await newPath();
    for (const [option, value] of [
      ["maxBytes", 1000],
      ["maxBytes", Number.NaN],
      ["maxTransactionMs", 0],
      ["maxTransactionMs", 2 ** 31],
    ] as const) {
      const store = createSqliteStore({ path, driver, [option]: value });
      await expect(store).rejects.toThrow(new RegExp(`^${option} must be .* not ${value}$`));
    }
    expect(await readdir(join(path, ".."))).toEqual([]);
  });

  it("refuses a damaged file, unless the check is off", async () => {
    const path = await newPath();
    const store = await createSqliteStore({ path, driver });
    for (let at = 0; at < 50; at += 1) {
      await store.insert(anInsert({ parent: "damaged", request: new Uint8Array(4000) }));
    }
    await store.close();
    const { size } = await stat(path);
    // A page of payloads, which nothing reads that only opens the file.
    const file = await open(path, "r+");
    await file.write(new Uint8Array(4096).fill(0x55), 0, 4096, Math.floor(size / 8192) * 4096);
    await file.close();
    expect(await refusalOf({ path, driver })).toMatchObject({
      code: Code.DataLoss,
      reason: "DATABASE_CORRUPT",
    });
    const unchecked = await openStore({ path, driver, isChecked: false });
    expect(await unchecked.expire(1)).toBe(0);
  });

  it("refuses starts beyond maxBytes, but ends running operations, and recovers when there is room", async () => {
    const clock = createManualClock();
    const maxBytes = 1024 * 1024;
    const store = await openStore({ path: await newPath(), driver, clock, maxBytes });
    const { name } = anInsert();
    await store.insert({ ...anInsert(), name });
    await store.claim(name);
    const request = new Uint8Array(20_000);
    let error: unknown;
    for (let at = 0; at < 300 && error === undefined; at += 1) {
      error = await store.insert(anInsert({ request, result: response })).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    }
    expect(error).toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: expect.stringContaining("at most 1048576 bytes"),
    });
    expect((await store.finish({ name, attempt: 1 }, response))?.state).toBe("done");
    await clock.advance(2000);
    expect((await store.insert(anInsert({ request }))).kind).toBe("inserted");
  });

  it("server 44: pages through more rows than one page may look at", async () => {
    const store = await openStore({ path: await newPath(), driver });
    await store.transaction(async (transaction) => {
      for (let at = 0; at < 10_050; at += 1) {
        const method = at < 20 ? "x.v1.X/Run" : "x.v1.X/Stop";
        await store.insert(anInsert({ parent: "p", method }), { transaction });
      }
    });
    const filter = { kind: "method-in" as const, methods: ["x.v1.X/Run"] };
    const query = { parent: "p", principal: undefined, filter, limit: 50 };
    const first = await store.list({ ...query, after: undefined });
    expect(first.records).toHaveLength(0);
    const second = await store.list({ ...query, after: first.next });
    expect(second.records).toHaveLength(20);
    expect(second.next).toBeUndefined();
  });

  it("tells a - in a list's parent from the pattern letters of SQLite", async () => {
    const store = await openStore({ path: await newPath(), driver });
    const parents = ["a*/x", "ab/x", "a?/x", "[a]/x", "a\\/x", "a*/x/y"];
    const names = new Map<string, string>();
    for (const parent of parents) {
      const operation = anInsert({ parent });
      await store.insert(operation);
      names.set(parent, operation.name);
    }
    for (const first of ["a*", "a?", "[a]", "a\\"]) {
      expect(await listNames(store, `${first}/-`), first).toEqual([names.get(`${first}/x`)]);
    }
    expect(await listNames(store, "-/x")).toHaveLength(5);
  });
});
