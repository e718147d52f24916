import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  createMemoryStore,
  type NewOperation,
  type OperationStore,
} from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { anInsert } from "../support/an-insert.js";
import { rejectionOf } from "../support/rejection.js";

const aRequestId = (id: string, windowMs: number) => ({
  scope: "s",
  id,
  fingerprint: new Uint8Array(),
  windowMs,
});

async function insertDone(store: OperationStore, init: Partial<NewOperation> = {}) {
  const operation = anInsert({ result: { kind: "response", value: new Uint8Array() }, ...init });
  await store.insert(operation);
  return operation;
}

describe("the memory store", () => {
  it("expires a done operation when its retention is over, by its clock", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const { name } = await insertDone(store);
    await clock.advance(999);
    expect((await store.get(name))?.state).toBe("done");
    expect(await store.expire(10)).toBe(0);
    await clock.advance(1);
    expect(await store.get(name)).toBeUndefined();
    expect(await store.expire(10)).toBe(1);
  });

  it("assigns strictly growing times if the clock stops or is set back", async () => {
    let nowMs = 5000;
    const store = createMemoryStore({ clock: { nowMs: () => nowMs, schedule: () => () => {} } });
    const times: number[] = [];
    for (const at of [5000, 5000, 4000, 5001]) {
      nowMs = at;
      const outcome = await store.insert(anInsert());
      if (outcome.kind === "inserted") times.push(outcome.record.createTimeMicros);
    }
    expect(times).toEqual([5_000_000, 5_000_001, 5_000_002, 5_001_000]);
  });

  it("holds at most maxOperations, and removes expired operations to make room", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock, maxOperations: 2 });
    await insertDone(store);
    await store.insert(anInsert());
    const error = await rejectionOf(store.insert(anInsert()));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(standardDetailsOf(error).errorInfo).toMatchObject({
      reason: "STORE_FULL",
      metadata: { maxOperations: "2" },
    });
    await clock.advance(1000);
    expect((await store.insert(anInsert())).kind).toBe("inserted");
  });

  it("counts what it remembers of deleted operations, until their window is over", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock, maxOperations: 1 });
    const { name } = await insertDone(store, { requestId: aRequestId("a", 5000) });
    await store.hide(name);
    expect(await store.expire(10)).toBe(1);
    expect((await rejectionOf(store.insert(anInsert()))).code).toBe(Code.ResourceExhausted);
    await clock.advance(5000);
    const again = anInsert({ requestId: aRequestId("a", 5000) });
    expect((await store.insert(again)).kind).toBe("inserted");
  });

  it("frees a request id at the end of its window, and remembers it anew for the next one", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const requestId = aRequestId("a", 5000);
    const first = await insertDone(store, { requestId });
    await clock.advance(4999);
    await store.expire(10);
    expect(await store.insert(anInsert({ requestId }))).toEqual({
      kind: "spent",
      name: first.name,
    });
    await clock.advance(1);
    const second = anInsert({ requestId });
    expect((await store.insert(second)).kind).toBe("inserted");
    // Clears away what is left of the first; the id is the second's by now.
    await store.expire(10);
    const outcome = await store.insert(anInsert({ requestId }));
    expect(outcome).toMatchObject({ kind: "duplicate", record: { name: second.name } });
    await clock.advance(4999);
    await store.expire(10);
    expect(await store.insert(anInsert({ requestId }))).toMatchObject({ kind: "duplicate" });
  });

  it("remembers a request id as long as its operation is kept, however short its window", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const running = anInsert({ requestId: aRequestId("a", 1000) });
    await store.insert(running);
    await clock.advance(60_000);
    await store.expire(10);
    const outcome = await store.insert(anInsert({ requestId: aRequestId("a", 1000) }));
    expect(outcome).toMatchObject({ kind: "duplicate", record: { name: running.name } });
  });

  it("can let go of a deleted operation as soon as its work has ended", async () => {
    const store = createMemoryStore();
    const { name } = anInsert();
    await store.insert(anInsert({ name }));
    await store.claim(name);
    await store.hide(name);
    expect(await store.expire(10)).toBe(0);
    await store.finish({ name, attempt: 1 }, { kind: "response", value: new Uint8Array() });
    expect(await store.expire(10)).toBe(1);
  });

  it("ends a page early, with a cursor, after a long range of expired operations", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const { name } = await insertDone(store, { retentionMs: 5000 });
    for (let at = 0; at < 10_000; at += 1) await insertDone(store);
    await clock.advance(1100);
    const query = { parent: "", principal: undefined, filter: undefined, limit: 1 };
    const first = await store.list({ ...query, after: undefined });
    expect(first.records).toEqual([]);
    expect(first.next).toBeDefined();
    const second = await store.list({ ...query, after: first.next });
    expect(second.records.map((record) => record.name)).toEqual([name]);
    expect(second.next).toBeUndefined();
  });

  it("holds at most maxBytes, and removes expired operations to make room", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock, maxBytes: 10_000 });
    const request = new Uint8Array(4000);
    await insertDone(store, { request });
    const running = anInsert({ request });
    await store.insert(running);
    const error = await rejectionOf(store.insert(anInsert({ request })));
    expect(error.code).toBe(Code.ResourceExhausted);
    const details = standardDetailsOf(error);
    expect(details.errorInfo).toMatchObject({
      reason: "STORE_FULL",
      metadata: { maxBytes: "10000" },
    });
    expect(details.retryInfo?.retryDelay).toBeDefined();
    await clock.advance(1000);
    expect((await store.insert(anInsert({ request }))).kind).toBe("inserted");
    expect((await store.get(running.name))?.request).toEqual(request);
  });

  it("refuses a report beyond maxBytes and keeps the one before, but never the end", async () => {
    const store = createMemoryStore({ clock: createManualClock(), maxBytes: 5000 });
    const { name } = anInsert();
    await store.insert(anInsert({ name }));
    await store.claim(name);
    const claim = { name, attempt: 1 };
    await store.report(claim, { metadata: new Uint8Array(3000).fill(1) });
    const error = await rejectionOf(store.report(claim, { metadata: new Uint8Array(6000) }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect((await store.get(name))?.metadata).toEqual(new Uint8Array(3000).fill(1));
    // A smaller one takes the place of a greater one.
    await store.report(claim, { metadata: new Uint8Array(4000) });
    const value = new Uint8Array(50_000);
    const done = await store.finish(claim, { kind: "response", value }, { metadata: value });
    expect([done?.state, done?.result?.value.length]).toEqual(["done", 50_000]);
  });

  it("does not count operations that were removed", async () => {
    const store = createMemoryStore({ clock: createManualClock(), maxBytes: 10_000 });
    for (let count = 0; count < 20; count += 1) {
      const { name } = await insertDone(store, {
        request: new Uint8Array(3000),
        metadata: new Uint8Array(3000),
        requestId: aRequestId(String(count), 0),
      });
      await store.hide(name);
      expect(await store.expire(10)).toBe(1);
    }
  });

  it("hands out snapshots that later writes do not change", async () => {
    const store = createMemoryStore();
    const { name } = anInsert();
    await store.insert(anInsert({ name, metadata: Uint8Array.of(1) }));
    const before = await store.claim(name);
    await store.report({ name, attempt: 1 }, { metadata: Uint8Array.of(2) });
    await store.finish(
      { name, attempt: 1 },
      { kind: "response", value: Uint8Array.of(3) },
      { metadata: Uint8Array.of(4) },
    );
    expect(before).toMatchObject({ state: "running", result: undefined });
    expect(before?.metadata).toEqual(Uint8Array.of(1));
  });

  it("hands out long payloads without room for a copy that is not made", async () => {
    const store = createMemoryStore();
    const metadata = new Uint8Array(8);
    const { name } = await insertDone(store, { request: new Uint8Array(1_000_000), metadata });
    const record = await store.get(name);
    expect(record?.metadata?.buffer.byteLength).toBeLessThan(1000);
  });

  it("yields to the event loop between two pages of expired operations", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    for (let count = 0; count < 30; count += 1) await insertDone(store);
    await clock.advance(2000);
    let turns = 0;
    const count = () => {
      turns += 1;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    while ((await store.expire(10)) === 10);
    clearImmediate(immediate);
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it("lists every match across more parents than it can merge", async () => {
    const store = createMemoryStore({ clock: createManualClock() });
    const names: string[] = [];
    for (let at = 0; at < 300; at += 1) {
      const parent = `shelves/${at}`;
      const name = `${parent}/operations/x`;
      await store.insert(anInsert({ name, parent }));
      await store.insert(anInsert({ name: `racks/${at}/operations/x`, parent: `racks/${at}` }));
      names.unshift(name);
    }
    const found: string[] = [];
    const query = { parent: "shelves/-", principal: undefined, filter: undefined, limit: 7 };
    let after: Parameters<OperationStore["list"]>[0]["after"];
    do {
      const page = await store.list({ ...query, after });
      found.push(...page.records.map((record) => record.name));
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(names);
  });

  it("knows parents, resources and names no more once their last operation is gone", async () => {
    const clock = createManualClock();
    const store = createMemoryStore({ clock });
    const operation = anInsert({ parent: "shelves/1", resourceKey: "r", principal: "users/ann" });
    for (let time = 0; time < 3; time += 1) {
      const outcome = await store.insert(operation);
      expect(outcome).toMatchObject({ kind: "inserted", record: { ...operation } });
      await store.requestCancel(operation.name, { kind: "error", value: new Uint8Array() });
      await store.hide(operation.name);
      expect(await store.expire(10)).toBe(1);
      const query = { parent: "shelves/-", principal: "users/ann", filter: undefined };
      expect(await store.list({ ...query, after: undefined, limit: 1 })).toEqual({
        records: [],
        next: undefined,
      });
    }
  });

  it("refuses a transaction, which it could not keep", async () => {
    const store = createMemoryStore();
    const transaction = { executeSql: async () => ({ rows: [] }) };
    const error = await rejectionOf(store.insert(anInsert(), { transaction }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(standardDetailsOf(error).errorInfo?.reason).toBe("TRANSACTION_UNSUPPORTED");
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a bound of %d", (maxOperations) => {
    expect(() => createMemoryStore({ maxOperations })).toThrow("maxOperations");
    expect(() => createMemoryStore({ maxBytes: maxOperations })).toThrow("maxBytes");
  });
});
