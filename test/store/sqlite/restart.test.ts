import { isBuiltin } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { loadDriver } from "../../../src/store/sqlite/load-driver.js";
import { createDeferred } from "../../support/deferred.js";
import { createPrintServer, Print, type PrintWork } from "../../support/print-server.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

/** Work that begins, and then waits until its signal aborts. */
function createEndlessWork() {
  const begun = createDeferred<string>();
  const work: PrintWork = ({ name, signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      begun.resolve(name);
    });
  return { begun: begun.promise, work };
}

/** A server over this file whose work tells its attempts and ends at once. */
async function startNext(path: string, driver: (typeof drivers)[number]) {
  const attempts: number[] = [];
  const store = await createSqliteStore({ path, driver });
  const server = createPrintServer(
    ({ attempt }) => {
      attempts.push(attempt);
      return { pages: attempt };
    },
    { store },
  );
  return { ...server, store, attempts };
}

describe.each(drivers)("a server that starts over the SQLite file of another, by %s", (driver) => {
  it("runs what was under way when the other died, as the next attempt", async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const { begun, work } = createEndlessWork();
    const store = await createSqliteStore({ path, driver });
    const first = createPrintServer(work, { store });
    const { name } = await first.operations.start(Print, { pages: 1 });
    await begun;
    // The process exits without ending the operation.
    await store.close();
    const next = await startNext(path, driver);
    expect((await next.rpc.waitOperation({ name })).done).toBe(true);
    expect(next.attempts).toEqual([2]);
    expect((await next.store.get(name))?.handovers).toBe(0);
    await next.operations.shutdown();
  });

  it("runs what the other handed over at its shutdown, which used up no attempt", async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const { begun, work } = createEndlessWork();
    const first = createPrintServer(work, { store: await createSqliteStore({ path, driver }) });
    const { name } = await first.operations.start(Print, { pages: 1 });
    await begun;
    const stopped = first.operations.shutdown({ graceMs: 0 });
    await first.clock.advance(0);
    await stopped;
    const next = await startNext(path, driver);
    expect((await next.rpc.waitOperation({ name })).done).toBe(true);
    expect(next.attempts).toEqual([2]);
    expect((await next.store.get(name))?.handovers).toBe(1);
    await next.operations.shutdown();
  });
});

describe("the driver of a SQLite store", () => {
  it.skipIf(isBuiltin("node:sqlite"))(
    "is named with what to install, where it is missing",
    async () => {
      await expect(loadDriver("node:sqlite")).rejects.toThrow("npm install libsql");
    },
  );

  it("is one that this Node and these packages have, where none is asked for", async () => {
    const open = await loadDriver(undefined);
    const connection = open(join(await createTemporaryFolder(), "any.db"));
    expect(connection.prepare("select ? as value").all("text")).toEqual([
      expect.objectContaining({ value: "text" }),
    ]);
    connection.close();
  });
});
