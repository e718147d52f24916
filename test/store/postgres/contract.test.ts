import assert from "node:assert/strict";
import { beforeAll, describe, it } from "vitest";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { storeContract } from "../../../src/testing/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

/** Closes the store, or sweeps up what belongs to the other cases too. */
const isOfWholeStore = (title: string) =>
  /closed|overdue|grace|deadline|expire|removes|removal|not done|how much others/.test(title);

describe("OperationStore in PostgreSQL", () => {
  for (const { title, run } of storeContract) {
    it(title, async () => {
      const store = createPostgresStore({ pool: database.pool });
      await run(store);
      await store.close();
    });
  }

  it("fulfils each case beside all others on one store, whose calls share statements then", async () => {
    const store = createPostgresStore({ pool: database.pool });
    const together = storeContract.filter(({ title }) => !isOfWholeStore(title));
    const outcomes = await Promise.allSettled(together.map(({ run }) => run(store)));
    assert.deepEqual(
      outcomes.flatMap((outcome, at) =>
        outcome.status === "rejected" ? [`${together[at]?.title}: ${outcome.reason}`] : [],
      ),
      [],
    );
    await store.close();
  });
});
