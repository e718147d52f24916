import { beforeAll, describe, it } from "vitest";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { storeContract } from "../../../src/testing/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

describe("OperationStore in PostgreSQL", () => {
  for (const { title, run } of storeContract) {
    it(title, async () => {
      const store = createPostgresStore({ pool: database.pool });
      await run(store);
      await store.close();
    });
  }
});
