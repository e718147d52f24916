import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRouterTransport } from "@connectrpc/connect";
import pg from "pg";
import { describe, it, onTestFinished } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import { createOperations } from "../../../src/server/index.js";
import { type ConnectPostgresOptions, connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { freePort } from "../../support/postgres/free-port.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";

const isInstalled = spawnSync("pgbouncer", ["--version"]).status === 0;
const mayBeSkipped = process.env.FOREIGN_CLIENTS !== "required";

/** PgBouncer in transaction mode in front of a database; resolves with the URL through it. */
async function startPgBouncer(databaseUrl: string): Promise<string> {
  const folder = await createTemporaryFolder();
  await chmod(folder, 0o755);
  const port = await freePort();
  const target = new URL(databaseUrl);
  const name = target.pathname.slice(1);
  const configuration = join(folder, "pgbouncer.ini");
  await writeFile(
    configuration,
    `[databases]
${name} = host=${target.hostname} port=${target.port} user=${target.username} password=${target.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 100
`,
  );
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child: ChildProcess = spawn("pgbouncer", ["-q", ...user, configuration], {
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const isListening = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("close", () => socket.destroy());
    });
  while (!(await isListening())) {
    assert.equal(child.exitCode, null, "PgBouncer did not start");
    await sleep(20);
  }
  return `postgres://${target.username}@127.0.0.1:${port}/${name}`;
}

async function assertWorks(options: ConnectPostgresOptions): Promise<void> {
  const operations = createOperations(await connectPostgres(options));
  const transport = createRouterTransport((router) => {
    router.service(PrintService, {
      print: operations.handle(Print, (op) => ({ pages: op.request.pages })),
    });
    router.service(Operations, operations.service);
  });
  const { print } = createLongRunningClient({ print: Print }, transport);
  const handles = await Promise.all(Array.from({ length: 20 }, (_, pages) => print({ pages })));
  const results = await Promise.all(handles.map((handle) => handle.result()));
  assert.deepEqual(
    results.map(({ pages }) => pages),
    handles.map((_, at) => at),
  );
  await operations.shutdown();
}

describe.skipIf(!isInstalled && mayBeSkipped)(
  "PgBouncer in transaction mode (skipped if not installed)",
  () => {
    it("serves operations if the listening connection goes past it", async () => {
      const { url } = await createTestDatabase();
      const connectionString = await startPgBouncer(url);
      await assertWorks({ connectionString, listenConnectionString: url });
    });

    it("serves operations without LISTEN and NOTIFY, and keeps other sessions as they were", async () => {
      const { url } = await createTestDatabase();
      const connectionString = await startPgBouncer(url);
      await assertWorks({ connectionString, notify: false, pollIntervalMs: 50 });
      const client = new pg.Client({ connectionString });
      await client.connect();
      const { rows } = await client.query("show statement_timeout");
      assert.deepEqual(rows, [{ statement_timeout: "0" }]);
      await client.end();
    });
  },
);
