import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, it, onTestFinished } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { migrations } from "../../../src/store/postgres/index.js";
import {
  checkOutOldProgram,
  hasOldProgram,
  oldCommit,
} from "../../support/postgres/old-program.js";
import { type Replica, startReplica } from "../../support/postgres/replica.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";

const isCloneFull = await hasOldProgram();

/** The replica program of the old sources, which are removed after the test. */
async function checkOut(): Promise<string> {
  const folder = await checkOutOldProgram();
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, "test/support/postgres/replica-program.ts");
}

function printerOf({ baseUrl }: Replica) {
  const transport = createConnectTransport({ baseUrl, httpVersion: "2" });
  return createLongRunningClient({ print: Print }, transport, { poll: { initialDelayMs: 100 } });
}

describe("The program of an earlier schema", () => {
  it.skipIf(!isCloneFull)(
    "shares a database with this program, whose migration it does not know " +
      `(skipped if the clone lacks commit ${oldCommit}: git fetch --unshallow)`,
    async () => {
      const { url, pool } = await createTestDatabase();
      const oldProgram = await checkOut();
      const started: Replica[] = [];
      onTestFinished(async () => {
        await Promise.all(started.map((replica) => replica[Symbol.asyncDispose]()));
      });
      const start = async (role: "worker" | "api", program?: string) => {
        const replica = await startReplica(url, role, program);
        started.push(replica);
        return replica;
      };
      const versions = async () =>
        (await pool.query("select version from longrunning.migrations order by 1")).rows.length;

      const oldApi = await start("api", oldProgram);
      const oldWorker = await start("worker", oldProgram);
      assert.equal(await versions(), 1);
      const first = await printerOf(oldApi).print({ pages: 1 });
      await oldWorker.heard("checkpoint-saved", first.name);

      // The migration happens under the old program, which has an operation under way.
      const newApi = await start("api");
      const newWorker = await start("worker");
      assert.equal(await versions(), migrations().length);
      const firstResult = (await printerOf(newApi).print.resume(first.name)).result();
      assert.equal(await oldWorker.shutdown(), 0);
      const taken = await newWorker.heard("claimed", first.name);
      assert.deepEqual([taken.attempt, taken.checkpoint], [2, [1, 2, 3]]);
      assert.equal((await firstResult).pages, 2);

      // An old program starts on the new schema, and takes over from the new one.
      const second = await printerOf(newApi).print({ pages: 1 });
      await newWorker.heard("checkpoint-saved", second.name);
      const rolledBack = await start("worker", oldProgram);
      const secondResult = (await printerOf(oldApi).print.resume(second.name)).result();
      assert.equal(await newWorker.shutdown(), 0);
      const takenBack = await rolledBack.heard("claimed", second.name);
      assert.deepEqual([takenBack.attempt, takenBack.checkpoint], [2, [1, 2, 3]]);
      assert.equal((await secondResult).pages, 2);

      // Each cancels what the other runs.
      const third = await printerOf(newApi).print({ pages: 1 });
      await rolledBack.heard("checkpoint-saved", third.name);
      await third.cancel();
      await rolledBack.heard("aborted", third.name);
      await assert.rejects(third.result(), { code: Code.Canceled });
      const { rows } = await pool.query(
        "select state, count(*)::integer from longrunning.operations group by 1",
      );
      assert.deepEqual(rows, [{ state: "done", count: 3 }]);
    },
    60_000,
  );
});
