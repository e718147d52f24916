import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, it, vi } from "vitest";
import { createLongRunningClient } from "../../../src/index.js";
import { Operations } from "../../../src/protos.js";
import {
  createOperations,
  type OperationsEvent,
  type OperationsServer,
} from "../../../src/server/index.js";
import { type ConnectPostgresOptions, connectPostgres } from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { createDeferred } from "../../support/deferred.js";
import { startSeveringProxy } from "../../support/postgres/severing-proxy.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print, type PrintWork } from "../../support/print-server.js";

async function aServer(options: ConnectPostgresOptions, work: PrintWork) {
  const operations = createOperations({ ...(await connectPostgres(options)) });
  return { operations, printer: aPrinter(operations, work) };
}

function aPrinter(operations: OperationsServer, work: PrintWork) {
  const transport = createRouterTransport((router) => {
    router.service(PrintService, { print: operations.handle(Print, work) });
    router.service(Operations, operations.service);
  });
  return createLongRunningClient({ print: Print }, transport);
}

function listOf(operations: OperationsServer) {
  const transport = createRouterTransport((router) =>
    router.service(Operations, operations.service),
  );
  return createClient(Operations, transport).listOperations({ pageSize: 1000 });
}

describe("connectPostgres", () => {
  it("serves operations on an empty database, and leaves no connection behind", async () => {
    const { url, pool } = await createTestDatabase();
    const { operations, printer } = await aServer({ connectionString: url }, (op) => {
      op.report({ pagesPrinted: 1 });
      return { pages: op.request.pages };
    });
    const handle = await printer.print({ pages: 3 });
    assert.equal((await handle.result()).pages, 3);
    await operations.shutdown();
    const { rows } = await pool.query(
      `select application_name, query from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name <> ''`,
    );
    assert.deepEqual(rows, []);
  });

  it("shows an observer the connections in use and the calls that wait for one, until the close", async () => {
    const { url } = await createTestDatabase();
    let usage = () => ({ inUse: 0, waiting: 0 });
    let closes = 0;
    const { store, dispatcher, signals } = await connectPostgres({
      ...{ connectionString: url, maxConnections: 3 },
      observer: {
        connected(read) {
          usage = read;
          return () => {
            closes += 1;
          };
        },
      },
    });
    const held = createDeferred();
    const begun = createDeferred();
    const holding = store.transaction(async () => {
      begun.resolve();
      await held.promise;
    });
    await begun.promise;
    const waiting = [store.get("operations/a"), store.get("operations/b")];
    await vi.waitFor(() => assert.deepEqual(usage(), { inUse: 1, waiting: 1 }));
    held.resolve();
    await Promise.all([holding, ...waiting]);
    await vi.waitFor(() => assert.deepEqual(usage(), { inUse: 0, waiting: 0 }));
    await dispatcher.stop();
    await Promise.all([signals.close(), store.close()]);
    assert.equal(closes, 1);
  });

  it("starts more operations at once than it has connections, the first ones of their method", async () => {
    const { url } = await createTestDatabase();
    const parts = await connectPostgres({ connectionString: url, maxConnections: 3 });
    const operations = createOperations(parts);
    const starts = Array.from({ length: 20 }, () => operations.start(Print, {}));
    assert.equal(new Set((await Promise.all(starts)).map(({ name }) => name)).size, 20);
    await operations.shutdown();
  });

  it("ends more operations at once than it has connections, each of which lets one of a method go on that is new to this process", async () => {
    const { url } = await createTestDatabase();
    const options = { connectionString: url, maxConnections: 3 };
    const starter = createOperations(await connectPostgres(options));
    const blocked = await Promise.all(
      Array.from({ length: 6 }, async (_, at) => {
        const resource = `printers/${at}`;
        const holder = await starter.create(Print, {}, { resource });
        await starter.start(Print, { pages: at }, { resource });
        return holder.name;
      }),
    );
    await starter.shutdown();
    const ender = createOperations(await connectPostgres(options));
    const ends = blocked.map((name) => ender.succeed(Print, name, { pages: 1 }));
    // Those that wait for a connection give up after 5 s.
    assert.deepEqual(
      (await Promise.allSettled(ends)).map(({ status }) => status),
      blocked.map(() => "fulfilled"),
    );
    const { operations: found } = await listOf(ender);
    assert.deepEqual(found.map(({ done }) => done).sort(), [
      ...blocked.map(() => false),
      ...blocked.map(() => true),
    ]);
    await ender.shutdown();
  });

  it("durability 13: works without LISTEN and NOTIFY, by polling", async () => {
    const { url } = await createTestDatabase();
    const options = { connectionString: url, notify: false, pollIntervalMs: 20 };
    const worker = await aServer(options, (op) => ({ pages: op.request.pages }));
    const starter = createOperations({ ...(await connectPostgres(options)) });
    const { name } = await starter.start(Print, { pages: 4 });
    const transport = createRouterTransport((router) =>
      router.service(Operations, starter.service),
    );
    const client = createLongRunningClient({ print: Print }, transport);
    const handle = await client.print.resume(name);
    assert.equal((await handle.result()).pages, 4);
    await Promise.all([worker.operations.shutdown(), starter.shutdown()]);
  });

  it("durability I6: many starts with one request id, on two replicas, are one operation", async () => {
    const { url } = await createTestDatabase();
    const runs: string[] = [];
    const work: PrintWork = (op) => {
      runs.push(op.name);
      return { pages: 1 };
    };
    const [one, other] = [
      await aServer({ connectionString: url }, work),
      await aServer({ connectionString: url }, work),
    ];
    const requestId = crypto.randomUUID();
    const handles = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        (at % 2 === 0 ? one : other).printer.print({ pages: 1, requestId }),
      ),
    );
    const names = new Set(handles.map(({ name }) => name));
    assert.equal(names.size, 1);
    await Promise.all(handles.map((handle) => handle.result()));
    await Promise.all([one.operations.shutdown(), other.operations.shutdown()]);
    assert.deepEqual(runs, [...names]);
  });

  it("sends at most 120 statements a minute while it is idle, with two methods", async () => {
    const { url } = await createTestDatabase();
    const proxy = await startSeveringProxy(url);
    const parts = await connectPostgres({ connectionString: proxy.url });
    const delivered = createDeferred();
    for (const method of ["a.B/C", "a.B/D"]) {
      parts.dispatcher.serve(method, async () => {
        delivered.resolve();
        return { kind: "settled" };
      });
    }
    await parts.dispatcher.dispatch([{ name: "operations/1", method: "a.B/C" }]);
    await delivered.promise;
    // The start of pg-boss sends its own.
    await sleep(2000);
    const before = proxy.statements();
    await sleep(6000);
    const sent = proxy.statements() - before;
    assert.ok(sent > 0 && sent <= 12, `${sent} statements in 6 s`);
    await parts.dispatcher.stop();
    await Promise.all([parts.signals.close(), parts.store.close()]);
    await proxy.close();
  });

  it("logs a missing pageTokenKey with the command that makes one, and none that is there", async () => {
    const { url } = await createTestDatabase();
    for (const pageTokenKey of [undefined, new Uint8Array(32)]) {
      const events: OperationsEvent[] = [];
      const parts = await connectPostgres({ connectionString: url });
      const log = (event: OperationsEvent) => events.push(event);
      await createOperations({ ...parts, pageTokenKey, log }).shutdown();
      const [first, ...others] = events;
      assert.deepEqual(others, []);
      if (pageTokenKey !== undefined) assert.equal(first, undefined);
      else assert.ok(first?.kind === "misconfigured" && /randomBytes\(32\)/.test(first.message));
    }
  });

  it("tells how much waits and runs", async () => {
    const { url } = await createTestDatabase();
    const parts = await connectPostgres({ connectionString: url, maxConcurrent: 1 });
    const operations = createOperations(parts);
    const [running, ended] = [createDeferred(), createDeferred()];
    const printer = aPrinter(operations, async () => {
      running.resolve();
      await ended.promise;
      return { pages: 1 };
    });
    const handles = [await printer.print({ pages: 1 }), await printer.print({ pages: 1 })];
    await running.promise;
    const method = "printing.v1.PrintService/Print";
    // The engine counts about once a second.
    for (;;) {
      const [depth] = await parts.dispatcher.depths();
      if (depth?.running === 1 && depth.queued === 1) {
        assert.equal(depth.method, method);
        break;
      }
    }
    ended.resolve();
    await Promise.all(handles.map((handle) => handle.result()));
    await operations.shutdown();
  });

  it("rejects with UNAVAILABLE where there is no database", async () => {
    const connectionString = "postgres://postgres@127.0.0.1:1/none";
    await assert.rejects(connectPostgres({ connectionString }), (error) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.Unavailable);
      return true;
    });
    const rejected = connectPostgres({ connectionString, migrate: false });
    await assert.rejects(rejected, { message: "[unavailable] the database cannot be reached now" });
  });

  it("bounds statements on the server and names a connection that it refuses", async () => {
    const { url, pool } = await createTestDatabase();
    const parts = await connectPostgres({ connectionString: url });
    const timeout = await parts.store.transaction(
      async (transaction) => (await transaction?.executeSql("show statement_timeout", []))?.rows,
    );
    assert.deepEqual(timeout, [{ statement_timeout: "1min" }]);
    await parts.dispatcher.stop();
    await Promise.all([parts.signals.close(), parts.store.close()]);
    await pool.query("select 1");
    const missing = new URL(url);
    missing.pathname = "/no_such_database";
    await assert.rejects(connectPostgres({ connectionString: missing.href }), {
      code: Code.Internal,
      rawMessage:
        "the database refused the connection (SQLSTATE 3D000): check the user, the password and " +
        "the database of the connection string",
    });
  });

  it("refuses fewer connections than it needs", async () => {
    const rejected = connectPostgres({ connectionString: "", maxConnections: 2 });
    await assert.rejects(rejected, {
      name: "RangeError",
      message: "maxConnections must be at least 3, not 2",
    });
  });
});
