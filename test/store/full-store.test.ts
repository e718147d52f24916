import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "vitest";
import { createMemoryStore, type OperationStore } from "../../src/store/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { anInsert } from "../support/an-insert.js";
import { rejectionOf } from "../support/rejection.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";
import { drivers } from "./sqlite/drivers.js";

/** Fill a store with operations that do not end, until it takes not even a small one. */
async function fill(store: OperationStore): Promise<void> {
  for (const bytes of [64 * 1024, 1024, 0]) {
    const isTaken = () =>
      store.insert(anInsert({ request: new Uint8Array(bytes) })).then(
        () => true,
        () => false,
      );
    while (await isTaken());
  }
}

const subjects: readonly [title: string, create: () => Promise<OperationStore>][] = [
  ["memory", async () => createMemoryStore({ maxBytes: 1024 * 1024 })],
  ...drivers.map((driver): [string, () => Promise<OperationStore>] => [
    `SQLite, by ${driver}`,
    async () => {
      const path = join(await createTemporaryFolder(), "operations.db");
      return createSqliteStore({ path, driver, maxBytes: 1024 * 1024 });
    },
  ]),
];

describe.each(subjects)("a full store in %s", (_, createStore) => {
  it("server 14: says that a resource is busy before it says that it is full", async () => {
    const store = await createStore();
    const first = anInsert({ resourceKey: "shelves/1" });
    await store.insert(first);
    await fill(store);
    const second = anInsert({ resourceKey: "shelves/1" });
    assert.deepEqual(await store.insert(second, { parallel: { kind: "refuse" } }), {
      kind: "busy",
      name: first.name,
    });
    const other = anInsert({ resourceKey: "shelves/2", name: first.name });
    assert.deepEqual(await store.insert(other), { kind: "name-taken" });
    assert.match((await rejectionOf(store.insert(second))).message, /keeps at most 1048576 bytes/);
    await store.close();
  });

  it("ends nothing for an operation that it has no room for", async () => {
    const store = await createStore();
    const first = anInsert({ resourceKey: "shelves/1" });
    await store.insert(first);
    await fill(store);
    const result = { kind: "error" as const, value: Uint8Array.of(1) };
    const preempting = store.insert(anInsert({ resourceKey: "shelves/1" }), {
      parallel: { kind: "preempt", result },
    });
    assert.match((await rejectionOf(preempting)).message, /keeps at most/);
    assert.equal((await store.get(first.name))?.state, "queued");
    await store.close();
  });
});
