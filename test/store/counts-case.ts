import assert from "node:assert/strict";
import type { CountingStore } from "../../src/store/sqlite/index.js";
import { anInsert } from "../support/an-insert.js";

/** Checks of every store that counts operations, on an empty store. */
export async function countsByMethodAndState(store: CountingStore): Promise<void> {
  assert.deepEqual(await store.counts(), { open: [], lost: [] });
  const [first, second] = ["printing.v1.PrintService/Print", "a\u0000b\\0.Service/Method"];
  const insert = async (method: string, resourceKey?: string) => {
    const operation = anInsert({ method, resourceKey, retentionMs: 1_000_000 });
    await store.insert(operation);
    return operation.name;
  };
  const claim = async (name: string) => {
    const record = await store.claim(name);
    assert.ok(record !== undefined);
    return { name, attempt: record.attempt };
  };

  await insert(first);
  await insert(first);
  await insert(first, "printers/1");
  await insert(first, "printers/1");
  const lost = await insert(first);
  for (let attempt = 1; attempt <= 3; attempt += 1) await claim(lost);
  const ended = await insert(second);
  await claim(ended);
  const done = await store.finish(await claim(ended), { kind: "response", value: Uint8Array.of() });
  assert.equal(done?.state, "done");
  const hidden = await insert(second);
  await store.hide(hidden);
  await insert(second);

  const { open, lost: lostAttempts } = await store.counts();
  const byMethod = (one: { method: string }, other: { method: string }) =>
    one.method < other.method ? 1 : -1;
  assert.deepEqual(
    new Set(open.map(({ method, state, operations }) => [method, state, operations].join())),
    new Set([
      `${first},queued,3`,
      `${first},blocked,1`,
      `${first},running,1`,
      `${second},queued,1`,
    ]),
  );
  assert.equal(open.length, 4);
  const { records } = await store.unfinished({ after: undefined, limit: 10 });
  const oldest = records.find((record) => record.method === first && record.state === "queued");
  const counted = open.find(({ method, state }) => method === first && state === "queued");
  assert.equal(counted?.oldestTimeMicros, oldest?.createTimeMicros);
  // Including the operation that is done.
  assert.deepEqual([...lostAttempts].sort(byMethod), [
    { method: first, attempts: 2 },
    { method: second, attempts: 1 },
  ]);
}
