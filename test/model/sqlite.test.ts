import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createInProcessDispatcher } from "../../src/store/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { drivers } from "../store/sqlite/drivers.js";
import { checkModel } from "./check-model.js";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "connect-longrunning-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a server over a SQLite file, under any order of calls", () => {
  it.each(drivers)(
    "does by %s what a plain model does: I1, I2, I4 to I10 and I12",
    async (driver) => {
      let runs = 0;
      await checkModel(
        async () => {
          runs += 1;
          const clock = createManualClock();
          const path = join(folder, `${driver.replace(":", "-")}-${runs}.db`);
          const store = await createSqliteStore({ path, driver, clock });
          const dispatcher = createInProcessDispatcher({ clock, maxConcurrent: 1000 });
          return {
            options: { clock, store, dispatcher },
            pause: () => clock.advance(0),
            maxPauses: 20,
            redeliver: (name, method) => dispatcher.dispatch([{ name, method }]),
          };
        },
        true,
        { numRuns: 40, maxCommands: 40 },
      );
    },
    60_000,
  );
});
