import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.js";
import { createOperations } from "../../src/server/index.js";
import { createSqliteStore } from "../../src/store/sqlite/index.js";
import { createDeferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { createTemporaryFolder } from "../support/temporary-folder.js";
import { runCommand } from "./support/command-in-process.js";

describe("longrunning inspect, requeue and workers with --data", () => {
  it("ask the server that has the file open", async () => {
    const path = join(await createTemporaryFolder(), "jobs.db");
    const operations = createOperations({ store: await createSqliteStore({ path }) });
    onTestFinished(() => operations.shutdown({ graceMs: 0 }));
    const began = createDeferred();
    operations.handle(Print, () => {
      began.resolve();
      return new Promise(() => undefined);
    });
    const { name } = await operations.start(Print, {});
    await began.promise;
    await vi.waitFor(async () =>
      expect((await runCommand("workers", "--data", path)).stdout).toContain(name),
    );
    const inspected = await runCommand("inspect", name, "--data", path, "--json");
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      operation: { name, state: "running", attempt: 1, delivery: null },
    });
    const left = await runCommand("requeue", name, "--data", path);
    expect(left.exitCode).toBe(exitCodes.refused);
    expect(left.stderr).toContain("was left: it runs in");
    const unknown = await runCommand("inspect", "operations/unknown", "--data", path);
    expect(unknown.exitCode).toBe(exitCodes.notFound);
  });

  it("say what to do if no server has the file open, or if there is no file", async () => {
    const path = join(await createTemporaryFolder(), "jobs.db");
    const missing = await runCommand("workers", "--data", path);
    expect(missing.exitCode).toBe(exitCodes.usage);
    expect(missing.stderr).toContain("there is no such file");
    await (await createSqliteStore({ path })).close();
    const closed = await runCommand("workers", "--data", path);
    expect(closed.exitCode).toBe(exitCodes.unreachable);
    expect(closed.stderr).toContain("no server has it open");
    expect(closed.stderr).toContain("start the server that owns the file");
  });
});
