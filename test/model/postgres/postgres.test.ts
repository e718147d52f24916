import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, it } from "vitest";
import { connectPostgres, migrate } from "../../../src/store/postgres/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { checkModel } from "../check-model.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});

describe("a server over PostgreSQL, under any order of calls", () => {
  it("does what a plain model does: I1, I2, I4 to I10 and I12", async () => {
    await checkModel(
      async () => {
        // Remove the operations of the previous run.
        await database.pool.query("truncate longrunning.operations");
        await database.pool.query("drop schema if exists longrunning_queue cascade");
        const parts = await connectPostgres({ connectionString: database.url, maxConnections: 5 });
        return {
          options: parts,
          // Rows and signals of the database arrive by sockets, which no clock moves.
          pause: () => sleep(5),
          maxPauses: 1000,
          redeliver: (name, method) => parts.dispatcher.dispatch([{ name, method }]),
        };
      },
      true,
      { numRuns: 20, maxCommands: 35 },
    );
  }, 60_000);
});
