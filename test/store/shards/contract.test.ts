import { join } from "node:path";
import { describe, it } from "vitest";
import { createShards } from "../../../src/server/index.js";
import {
  createInProcessDispatcher,
  createInProcessSignals,
  createMemoryStore,
  type OperationStore,
} from "../../../src/store/index.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { dispatcherContract, signalsContract, storeContract } from "../../../src/testing/index.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";

const inMemory = async () => createMemoryStore();
const inSqlite = async () =>
  createSqliteStore({ path: join(await createTemporaryFolder(), "operations.db") });

async function twoShards(create: () => Promise<OperationStore>, shardOf?: () => number) {
  const part = async () => ({
    store: await create(),
    dispatcher: createInProcessDispatcher(),
    signals: createInProcessSignals(),
  });
  return createShards([await part(), await part()], { shardOf });
}

/**
 * Cases that are not for several shards: their operations share a resource or a request id although
 * their parents differ, or they expect the order of creation within one tick of the clock.
 */
const isOfOneShard = (title: string) =>
  [
    /^a walk of what is unfinished|^knows what is unfinished|^server 51: lists across parents/,
    /^counts a hidden|^counts no hidden|^ends what is overdue, in whatever|^fences the attempt/,
    /^finds the duplicate|^a refused insert spends|^has a hidden operation wait|^has unfinished what was unblocked/,
    /^lets one of many|^preempts |^refuses all but one|^server 1[456]:|^server 59: cancels a blocked/,
    /^server 19: |^server 23: |^server 67: remembers|^server 90: /,
  ].some((pattern) => pattern.test(title));

describe.each([
  ["memory", inMemory],
  ["SQLite", inSqlite],
] as const)("two shards in %s", (_, create) => {
  for (const { title, run } of storeContract) {
    it(`scale 34: all in one shard: ${title}`, async () => {
      const { store } = await twoShards(create, () => 1);
      await run(store);
      await store.close();
    });
  }
});

describe("two shards in memory", () => {
  for (const { title, run } of storeContract.filter(({ title }) => !isOfOneShard(title))) {
    it(`scale 34: over both: ${title}`, async () => {
      const { store } = await twoShards(inMemory);
      await run(store);
      await store.close();
    });
  }
});

describe("the dispatchers and signals of two shards", () => {
  for (const { title, run } of dispatcherContract) {
    it(`scale 48: ${title}`, async () => run((await twoShards(inMemory)).dispatcher));
  }
  for (const { title, run } of signalsContract) {
    it(`scale 48: ${title}`, async () => {
      const { signals } = await twoShards(inMemory);
      await run(signals);
      await signals.close();
    });
  }
});
