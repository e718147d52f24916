import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { describe, it } from "vitest";
import { createMemoryStore } from "../../../src/store/index.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { createManualClock } from "../../../src/testing/index.js";
import { answer, history } from "../../support/store-history.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

describe.each(drivers)("OperationStore in SQLite, by %s, and in memory", (driver) => {
  it("durability I11: give the same answers, to the microsecond, to the same history", async () => {
    const folder = await createTemporaryFolder();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 5 }),
        async (calls, pauses) => {
          runs += 1;
          const clock = createManualClock();
          const inMemory = createMemoryStore({ clock });
          const inSqlite = await createSqliteStore({
            path: join(folder, `${runs}.db`),
            driver,
            clock,
          });
          for (const [at, made] of calls.entries()) {
            // At least a millisecond, as one store may have stamped once more than the other in the last.
            await clock.advance(pauses[at % pauses.length] ?? 1);
            const expected = await answer(inMemory, made, "same");
            const given = await answer(inSqlite, made, "same");
            assert.deepEqual(given, expected, `call ${at}: ${made.kind}`);
          }
          await inSqlite.close();
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});
