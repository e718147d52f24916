import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { exitCodes } from "../../../src/cli/exit-codes.js";
import {
  Health,
  Operations,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../src/protos.js";
import { migrationScript, migrations } from "../../../src/store/postgres/index.js";
import { createManualClock } from "../../../src/testing/index.js";
import { startPostgres } from "../../support/postgres/start-postgres.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { type CommandInit, runCommand, startCommand } from "../support/command-in-process.js";
import { operationsOfEveryState } from "../support/operations-of-every-state.js";

const parent = "projects/demo/locations/here";

/** A replica on a free port, to the end of the test. */
async function serve(args: readonly string[], init: CommandInit = {}) {
  const started = startCommand(["serve", "--port", "0", ...args], init);
  onTestFinished(async () => {
    started.interrupt();
    await started.ended;
  });
  const [, url = ""] = await started.wrote("stdout", /^listening on (.*)\n/);
  return { url, started };
}

/** Have the database leave and come back, and read a replica's state from grpc.health.v1. */
async function showsHealth(
  database: string,
  { leave, comeBack }: { leave(): Promise<void>; comeBack(): Promise<void> },
): Promise<void> {
  const clock = createManualClock();
  const { url, started } = await serve(["--database-url", database], { clock });
  const sessionManager = new Http2SessionManager(url);
  onTestFinished(() => sessionManager.abort());
  const transport = createGrpcTransport({ baseUrl: url, sessionManager });
  const watch = createClient(Health, transport).watch({})[Symbol.asyncIterator]();
  const status = async () => (await watch.next()).value?.status;
  expect(await status()).toBe(Status.SERVING);

  await leave();
  await clock.advance(5000);
  expect(await status()).toBe(Status.NOT_SERVING);
  await started.wrote("stderr", /the database does not answer: NOT_SERVING\n/);

  await comeBack();
  await clock.advance(5000);
  expect(await status()).toBe(Status.SERVING);
}

describe("longrunning serve --database-url", () => {
  it("shares operations, their signals and page tokens with other replicas", async () => {
    const { url: database } = await createTestDatabase();
    const folder = await createTemporaryFolder();
    const [key, load] = [join(folder, "key"), join(folder, "operations.json")];
    const operations = operationsOfEveryState(6);
    await writeFile(key, Buffer.alloc(32, 7).toString("base64"));
    await writeFile(load, JSON.stringify({ operations }));
    const common = ["--database-url", database, "--page-token-key-file", key];
    const one = await serve([...common, "--load", load]);
    const other = await serve(common);

    const page = ["list", parent, "--page-size", "4", "--server"];
    const { stderr } = await runCommand(...page, one.url);
    const [, token = ""] = /--page-token '(.+)'/.exec(stderr) ?? [];
    const next = await runCommand(...page, other.url, "--page-token", token);
    expect(next.exitCode).toBe(exitCodes.success);
    expect(next.stdout).toContain(operations[5]?.name);

    const name = operations.find(({ done }) => !done)?.name ?? "";
    const wait = startCommand(["wait", name, "--server", one.url]);
    await wait.wrote("stderr", /running|\d/);
    await runCommand("cancel", name, "--server", other.url);
    expect((await wait.ended).exitCode).toBe(exitCodes.cancelled);
  });

  it("shows NOT_SERVING while the database refuses connections, and SERVING again", async () => {
    const database = await createTestDatabase();
    await showsHealth(database.url, database);
  });

  it("shows NOT_SERVING while PostgreSQL is down, and SERVING once it is up again", async () => {
    const server = await startPostgres(false);
    onTestFinished(() => server.stop());
    await showsHealth(server.url, { leave: server.kill, comeBack: server.start });
  }, 60_000);

  it("exits with 6 where no database is, and shows no password", async () => {
    const { exitCode, stdout, stderr } = await runCommand(
      ...["serve", "--port", "0", "--database-url", "postgres://me:secret@127.0.0.1:1/none"],
    );
    expect([exitCode, stdout]).toEqual([exitCodes.unreachable, ""]);
    expect(stderr).toContain("the database cannot be reached now\n  check that it runs");
    expect(stderr).not.toContain("secret");
  });
});

describe("longrunning serve with --database-url several times", () => {
  it("serves the operations of all databases, and those of the rest while one is away", async () => {
    const [first, second] = [await createTestDatabase(), await createTestDatabase()];
    const folder = await createTemporaryFolder();
    const [load, key] = [join(folder, "operations.json"), join(folder, "key")];
    const names = Array.from({ length: 12 }, (_, at) => `projects/p${at}/operations/o`);
    await writeFile(load, JSON.stringify({ operations: names.map((name) => ({ name })) }));
    await writeFile(key, Buffer.alloc(32, 7).toString("base64"));
    const clock = createManualClock();
    const options = [first, second].flatMap(({ url }) => ["--database-url", url]);
    const { url, started } = await serve(
      [...options, "--page-token-key-file", key, "--load", load],
      { clock },
    );
    const inFirst = await namesIn(first);
    const inSecond = await namesIn(second);
    expect([...inFirst, ...inSecond].sort()).toEqual(names.toSorted());
    expect(inFirst.length).toBeGreaterThan(0);
    expect(inSecond.length).toBeGreaterThan(0);

    const sessionManager = new Http2SessionManager(url);
    onTestFinished(() => sessionManager.abort());
    const transport = createGrpcTransport({ baseUrl: url, sessionManager });
    const rpc = createClient(Operations, transport);
    const all = { name: "projects/-", returnPartialSuccess: true };
    const whole = await rpc.listOperations(all);
    expect(whole.operations.map(({ name }) => name).sort()).toEqual(names.toSorted());
    expect(whole.unreachable).toEqual([]);

    await second.leave();
    await clock.advance(5000);
    await started.wrote("stderr", /database 2 of 2 does not answer: SERVING\n/);
    const { status } = await createClient(Health, transport).check({});
    expect(status).toBe(Status.SERVING);
    const rest = await rpc.listOperations(all);
    expect(rest.operations.map(({ name }) => name).sort()).toEqual(inFirst);
    expect(rest.unreachable).toEqual(["shards/1"]);
    const { name = "" } = { name: inSecond[0] };
    await expect(rpc.getOperation({ name })).rejects.toMatchObject({ code: Code.Unavailable });
    expect((await rpc.getOperation({ name: inFirst[0] ?? "" })).name).toBe(inFirst[0]);
  }, 60_000);

  async function namesIn({ pool }: TestDatabase): Promise<string[]> {
    const { rows } = await pool.query<{ name: string }>("select name from longrunning.operations");
    return rows.map(({ name }) => name).sort();
  }
});

describe("longrunning migrate", () => {
  it("takes the missing steps, and says so", async () => {
    const { url, pool } = await createTestDatabase();
    const [first, second] = [
      await runCommand("migrate", "--database-url", url, "--schema", "mine"),
      await runCommand("migrate", "--database-url", url, "--schema", "mine"),
    ];
    expect(first).toEqual({
      exitCode: exitCodes.success,
      stdout: migrations()
        .map(({ version, name }) => `migrated to ${version}: ${name}\n`)
        .join(""),
      stderr: "",
    });
    expect(second.stdout).toBe("the database is up to date\n");
    const { rows } = await pool.query("select count(*)::int as count from mine.operations");
    expect(rows).toEqual([{ count: 0 }]);
  });

  it("prints a script, with --from only what is missing, and wants no database for it", async () => {
    const all = await runCommand("migrate", "--print");
    expect(all).toEqual({ exitCode: exitCodes.success, stdout: migrationScript(), stderr: "" });
    const from = migrations().length;
    const rest = await runCommand("migrate", "--print", "--from", String(from));
    expect(rest.stdout).toBe(migrationScript({ from }));
    expect(rest.stdout).not.toBe(all.stdout);
  });

  it("exits with 6 where no database is, and shows no password", async () => {
    const { exitCode, stderr } = await runCommand(
      ...["migrate", "--database-url", "postgres://me:secret@127.0.0.1:1/none"],
    );
    expect(exitCode).toBe(exitCodes.unreachable);
    expect(stderr).not.toContain("secret");
  });
});
