import { join } from "node:path";
import { describe, it } from "vitest";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { storeContract } from "../../../src/testing/index.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

describe.each(drivers)("OperationStore in SQLite, by %s", (driver) => {
  for (const { title, run } of storeContract) {
    it(title, async () => {
      const path = join(await createTemporaryFolder(), "operations.db");
      const store = await createSqliteStore({ path, driver });
      await run(store);
      await store.close();
    });
  }
});
