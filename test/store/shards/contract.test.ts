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
import { isOfOneShard } from "../../support/shard-cases.js";
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
