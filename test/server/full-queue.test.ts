import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { createOperations } from "../../src/server/index.js";
import { standardDetailsOf } from "../../src/status/index.js";
import {
  createInProcessDispatcher,
  createMemoryStore,
  type OperationStore,
} from "../../src/store/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";

const stores: readonly [title: string, create: () => Promise<OperationStore>][] = [
  ["memory", async () => createMemoryStore()],
  [
    "SQLite",
    async () => {
      const path = join(await createTemporaryFolder(), "operations.db");
      return createSqliteStore({ path });
    },
  ],
];

describe.each(stores)("starts at once that fill the queue in this process, in %s", (_, create) => {
  it("takes as many as there are places, and leaves nothing of the others", async () => {
    const store = await create();
    const dispatcher = createInProcessDispatcher({ maxConcurrent: 1, maxQueued: 2 });
    const operations = createOperations({ store, dispatcher });
    const canEnd = createDeferred<void>();
    onTestFinished(async () => {
      canEnd.resolve();
      await operations.shutdown();
    });
    operations.handle(Print, async () => {
      await canEnd.promise;
      return {};
    });
    const starts = await Promise.allSettled(
      Array.from({ length: 6 }, () => operations.start(Print, { parent: "printers/1" })),
    );
    expect(starts.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    expect(dispatcher.queued?.()).toBe(2);
    const refused = starts.flatMap((start) => (start.status === "rejected" ? [start.reason] : []));
    for (const error of refused) {
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("QUEUE_FULL");
    }
    const query = { parent: "printers/1", principal: undefined, filter: undefined };
    const states = async () => {
      const { records } = await store.list({ ...query, after: undefined, limit: 10 });
      return records.map(({ state }) => state).sort();
    };
    await expect.poll(states).toEqual(["queued", "queued", "running"]);
    canEnd.resolve();
    await expect.poll(() => dispatcher.queued?.()).toBe(0);
    expect((await operations.start(Print, { parent: "printers/1" })).done).toBe(false);
  });
});

describe("a start whose transaction is rolled back", () => {
  it("gives its place in the queue back", async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const store = await createSqliteStore({ path });
    const dispatcher = createInProcessDispatcher({ maxQueued: 1 });
    const operations = createOperations({ store, dispatcher });
    onTestFinished(() => operations.shutdown());
    const rolledBack = store.transaction(async (transaction) => {
      await operations.start(Print, {}, { transaction });
      throw new ConnectError("not after all", Code.Aborted);
    });
    expect((await rejectionOf(rolledBack)).rawMessage).toBe("not after all");
    expect((await operations.start(Print, {})).done).toBe(false);
    expect((await rejectionOf(operations.start(Print, {}))).code).toBe(Code.ResourceExhausted);
  });
});
