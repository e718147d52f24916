import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { StatusSchema } from "../../../src/protos.js";
import { createOperations, type OperationsEvent } from "../../../src/server/index.js";
import { standardDetailsOf } from "../../../src/status/index.js";
import { createInProcessDispatcher } from "../../../src/store/index.js";
import { createSqliteStore, type OpenSqlite } from "../../../src/store/sqlite/index.js";
import { loadDriver } from "../../../src/store/sqlite/load-driver.js";
import { createManualClock } from "../../../src/testing/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createDeferred } from "../../support/deferred.js";
import { Print } from "../../support/print-server.js";
import { rejectionOf } from "../../support/rejection.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

/** A driver whose files cannot grow beyond a number of pages while the disk is full. */
async function createFullDisk(driver: (typeof drivers)[number]) {
  const openReal = await loadDriver(driver);
  let setMost: (pages: number) => void = () => undefined;
  const open: OpenSqlite = (path) => {
    const connection = openReal(path);
    setMost = (pages) => connection.exec(`pragma max_page_count = ${pages}`);
    return connection;
  };
  return { open, fill: () => setMost(1), empty: () => setMost(1_000_000) };
}

describe.each(drivers)("a SQLite store by %s on a full disk", (driver) => {
  it("says so to every call that needs room, and goes on when there is room", async () => {
    const disk = await createFullDisk(driver);
    const path = join(await createTemporaryFolder(), "operations.db");
    const store = await createSqliteStore({ path, driver: disk.open });
    onTestFinished(() => store.close());
    const { name } = anInsert();
    await store.insert({ ...anInsert(), name });
    const claim = { name, attempt: 1 };
    await store.claim(name);
    disk.fill();
    const large = new Uint8Array(100_000);
    for (const call of [
      () => store.insert(anInsert({ request: large })),
      () => store.report(claim, { metadata: large }),
      () => store.finish(claim, { kind: "response", value: large }),
    ]) {
      const error = await rejectionOf(call());
      expect(error.code).toBe(Code.ResourceExhausted);
      expect(error.rawMessage).toBe("the server's disk is full");
      expect(standardDetailsOf(error).errorInfo?.reason).toBe("DISK_FULL");
    }
    expect((await store.get(name))?.state).toBe("running");
    disk.empty();
    expect((await store.finish(claim, { kind: "response", value: large }))?.state).toBe("done");
  });

  it("keeps the result of work that ends meanwhile, and writes it when there is room", async () => {
    const disk = await createFullDisk(driver);
    const clock = createManualClock();
    const path = join(await createTemporaryFolder(), "operations.db");
    const store = await createSqliteStore({ path, driver: disk.open, clock });
    const refused = createDeferred<void>();
    const operations = createOperations({
      clock,
      store,
      dispatcher: createInProcessDispatcher({ clock }),
      log: (event: OperationsEvent) => {
        if (event.kind === "store-failed") refused.resolve();
      },
    });
    onTestFinished(() => operations.shutdown({ graceMs: 0 }));
    let runs = 0;
    const isStarted = createDeferred<void>();
    const canEnd = createDeferred<void>();
    operations.handle(Print, async () => {
      runs += 1;
      isStarted.resolve();
      await canEnd.promise;
      throw new ConnectError("x".repeat(100_000), Code.OutOfRange);
    });
    const { name } = await operations.start(Print, { pages: 7 });
    await isStarted.promise;
    disk.fill();
    canEnd.resolve();
    await refused.promise;
    expect((await store.get(name))?.state).toBe("running");
    disk.empty();
    await clock.advance(100);
    await expect.poll(async () => (await store.get(name))?.state).toBe("done");
    const { value } = (await store.get(name))?.result ?? {};
    expect(fromBinary(StatusSchema, value ?? new Uint8Array()).code).toBe(Code.OutOfRange);
    expect(runs).toBe(1);
  });

  it("names the file to the operator whose disk has no room for it", async () => {
    const openReal = await loadDriver(driver);
    const path = join(await createTemporaryFolder(), "operations.db");
    const open: OpenSqlite = (file) => {
      const connection = openReal(file);
      connection.exec("pragma max_page_count = 2");
      return connection;
    };
    const error = await rejectionOf(createSqliteStore({ path, driver: open }));
    expect(error.rawMessage).toBe(`the disk of ${path} is full: make room on it and start again`);
  });
});
