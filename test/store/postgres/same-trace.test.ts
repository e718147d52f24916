import assert from "node:assert/strict";
import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import { createMemoryStore } from "../../../src/store/index.js";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { answer, history } from "../../support/store-history.js";

describe("OperationStore in PostgreSQL and in memory", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrate(database.pool);
  });

  it("durability I11: give the same answers to the same history", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (calls) => {
        await database.pool.query("truncate longrunning.operations");
        const inPostgres = createPostgresStore({ pool: database.pool });
        const inMemory = createMemoryStore();
        for (const [at, made] of calls.entries()) {
          const expected = await answer(inMemory, made, "different");
          const given = await answer(inPostgres, made, "different");
          assert.deepEqual(given, expected, `call ${at}: ${made.kind}`);
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
