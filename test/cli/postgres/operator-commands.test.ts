import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../../../src/cli/exit-codes.js";
import { createOperations } from "../../../src/server/index.js";
import { connectPostgres } from "../../../src/store/postgres/index.js";
import { createDeferred } from "../../support/deferred.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { runCommand } from "../support/command-in-process.js";

const method = "printing.v1.PrintService/Print";

/** A database with one replica, which runs one operation until it is taken away. */
async function aRunningOperation() {
  const { url } = await createTestDatabase();
  const operations = createOperations({
    ...(await connectPostgres({ connectionString: url })),
    ...{ pageTokenKey: new Uint8Array(32), log: () => undefined },
  });
  onTestFinished(() => operations.shutdown({ graceMs: 0 }));
  const began = createDeferred();
  operations.handle(Print, async ({ attempt, signal, report }) => {
    report({ pagesPrinted: attempt });
    if (attempt > 1) return { pages: attempt };
    began.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw signal.reason;
  });
  const requestId = "0191e7a2-8f5c-7000-8000-000000000001";
  const { name } = await operations.start(
    Print,
    { requestId },
    { principal: "users/ann", parent: "printers/1" },
  );
  await began.promise;
  const run = (command: string, ...args: string[]) =>
    runCommand(command, "--database-url", url, ...args);
  return { url, name, requestId, run };
}

describe("longrunning inspect, requeue and workers", () => {
  it("show who runs an operation, take it away by force, and export its history", async () => {
    const { name, requestId, run } = await aRunningOperation();
    const shown = await run("inspect", name);
    expect([shown.exitCode, shown.stderr]).toEqual([exitCodes.success, ""]);
    expect(shown.stdout).toContain(`${name}\n  state:            running, attempt 1 (0 lost`);
    expect(shown.stdout).toMatch(/ {2}principal: +users\/ann\n/);
    expect(shown.stdout).toMatch(
      new RegExp(` {2}owner: +\\S+:${process.pid}:[0-9a-f]{8}, claimed \\d+s ago`),
    );
    expect(shown.stdout).toMatch(/ {2}queue: +running, lease renewed \d+s ago\n/);
    expect(shown.stdout).toContain(requestId);

    const workers = await run("workers");
    expect(workers.stdout).toMatch(
      /^\S+ {2}runs 1, started \d+s ago, last sign of life \d+s ago\n/,
    );
    expect(workers.stdout).toMatch(new RegExp(`\n  ${name}  ${method}  attempt 1, for \\d+s\n$`));

    const left = await run("requeue", name);
    expect([left.exitCode, left.stdout]).toEqual([exitCodes.refused, ""]);
    expect(left.stderr).toMatch(
      /was left: it runs in \S+, which renewed .*; --force takes it away/,
    );
    const taken = await run("requeue", name, "--force");
    expect(taken).toMatchObject({ exitCode: 0, stdout: `${name} is queued again\n`, stderr: "" });

    const exported = await vi.waitFor(
      async () => {
        const { stdout } = await run("inspect", name, "--json");
        const { version, exportTime, operation } = JSON.parse(stdout);
        expect(operation.state).toBe("done");
        return { version, exportTime, operation };
      },
      { timeout: 15_000, interval: 200 },
    );
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
    expect(exported).toMatchObject({
      version: "1.2.3",
      exportTime: expect.stringMatching(time),
      operation: {
        ...{ name, method, parent: "printers/1", principal: "users/ann", requestId },
        ...{ attempt: 2, losses: 1, handovers: 0, error: null },
        createTime: expect.stringMatching(time),
        lostAttempts: [
          {
            attempt: 1,
            owner: expect.stringContaining(`:${process.pid}:`),
            lossTime: expect.stringMatching(time),
            cause: "requeued",
          },
        ],
        response: { typeUrl: "type.googleapis.com/printing.v1.PrintResponse" },
      },
    });
    const text = await run("inspect", name);
    expect(text.stdout).toMatch(
      /lost attempts:\n {4}attempt 1, lost \S+ \(\d+s ago\) by \S+: an operator took the operation away/,
    );
    const again = await run("requeue", name, "--json");
    expect(again.exitCode).toBe(exitCodes.refused);
    expect(JSON.parse(again.stdout)).toEqual({ name, kind: "done" });
  }, 30_000);

  it("exit with 4 for an unknown operation, 6 without a database, and 2 without its address", async () => {
    const { url } = await createTestDatabase();
    const operations = createOperations({
      ...(await connectPostgres({ connectionString: url })),
      ...{ pageTokenKey: new Uint8Array(32) },
    });
    await operations.shutdown();
    const nobody = await runCommand("workers", "--database-url", url);
    expect([nobody.exitCode, nobody.stdout]).toEqual([0, "no process handles a method\n"]);
    for (const command of ["inspect", "requeue"]) {
      const unknown = await runCommand(command, "operations/unknown", "--database-url", url);
      expect(unknown.exitCode).toBe(exitCodes.notFound);
      expect(unknown.stderr).toContain("the database has no operation operations/unknown");
    }
    const away = "postgres://nobody@127.0.0.1:1/none";
    expect(await runCommand("workers", "--database-url", away)).toMatchObject({
      ...{ exitCode: exitCodes.unreachable, stdout: "" },
    });
    const { exitCode, stderr } = await runCommand("inspect", "operations/a");
    expect(exitCode).toBe(exitCodes.usage);
    expect(stderr).toContain("give --database-url or LONGRUNNING_DATABASE_URL");
    const empty = await createTestDatabase();
    const notMigrated = await runCommand("workers", "--database-url", empty.url);
    expect(notMigrated.exitCode).toBe(exitCodes.usage);
    expect(notMigrated.stderr).toContain("is not migrated");
  });
});
