import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { describe, it, onTestFinished } from "vitest";
import { GetOperationRequestSchema, Operations } from "../../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../../src/rest/index.js";
import { createOperations } from "../../../src/server/index.js";
import {
  connectPostgres,
  createPgBossDispatcher,
  createPostgresStore,
  migrate,
} from "../../../src/store/postgres/index.js";
import { PrintService } from "../../gen/printing/v1/printing_pb.js";
import { anInsert } from "../../support/an-insert.js";
import { envelopeBytes } from "../../support/envelope-bytes.js";
import { startSeveringProxy } from "../../support/postgres/severing-proxy.js";
import { createTestDatabase } from "../../support/postgres/test-database.js";
import { Print } from "../../support/print-server.js";
import { openSession, rawCall } from "../../support/raw-call.js";
import { startServer } from "../../support/servers.js";

/** A migrated database behind a proxy that ends every new connection as soon as it is ready. */
async function aSeveredDatabase() {
  const { url, pool } = await createTestDatabase();
  await migrate(pool);
  const proxy = await startSeveringProxy(url);
  onTestFinished(() => proxy.close());
  proxy.severNewConnections();
  return proxy.url;
}

/** A pool of the user's that has no listener for errors. */
async function aBarePool() {
  const pool = new pg.Pool({ connectionString: await aSeveredDatabase(), max: 2 });
  onTestFinished(() => pool.end());
  return pool;
}

// An "error" event without a listener would fail the run as an uncaught exception.
async function assertUnavailable(call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => assert.fail("it did not reject"),
    (cause: unknown) => ConnectError.from(cause),
  );
  assert.equal(error.code, Code.Unavailable, error.message);
  // The connection's last events come after the answer.
  await new Promise((resolve) => setImmediate(resolve));
}

describe("a PostgreSQL connection that ends with the message that it is ready", () => {
  it("fails a transaction of the store with UNAVAILABLE, on a pool of the user's", async () => {
    const store = createPostgresStore({ pool: await aBarePool() });
    await assertUnavailable(store.transaction(async () => undefined));
  });

  it("fails a statement of the store with UNAVAILABLE, on a pool of the user's", async () => {
    const store = createPostgresStore({ pool: await aBarePool() });
    await assertUnavailable(store.insert(anInsert({ name: "operations/1" })));
  });

  it("fails the dispatcher with UNAVAILABLE, on a pool of the user's", async () => {
    const dispatcher = createPgBossDispatcher({ pool: await aBarePool() });
    await assertUnavailable(dispatcher.dispatch([{ name: "operations/1", method: "a.B/C" }]));
    await dispatcher.stop();
  });

  it("fails a migration with UNAVAILABLE, on a pool of the user's", async () => {
    await assertUnavailable(migrate(await aBarePool()));
  });

  it("fails `connectPostgres` with UNAVAILABLE, with and without a migration", async () => {
    const connectionString = await aSeveredDatabase();
    await assertUnavailable(connectPostgres({ connectionString }));
    await assertUnavailable(connectPostgres({ connectionString, migrate: false }));
  });
});

describe("a PostgreSQL table that another session has locked", () => {
  it("holds no call beyond its deadline, over Connect, REST and gRPC", async () => {
    const { url, pool } = await createTestDatabase();
    const operations = createOperations(await connectPostgres({ connectionString: url }));
    const server = await startServer({
      routes: (router) => {
        router.service(PrintService, { print: operations.handle(Print, () => ({ pages: 1 })) });
        router.service(Operations, operations.service);
      },
      handlers: (router) => [createRestHandler(router, { rules: operationsHttpRules() })],
    });
    const { name } = await operations.start(Print, {});
    const client = await pool.connect();
    await client.query("begin; lock table longrunning.operations in access exclusive mode");
    const timeoutMs = 300;
    // `fetch` has no deadline of its own: it is the server that answers.
    const post = async (path: string, body: object) => {
      const response = await fetch(`http://127.0.0.1:${server.port}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "connect-timeout-ms": String(timeoutMs) },
        body: JSON.stringify(body),
      });
      const answer: unknown = await response.json();
      assert.ok(typeof answer === "object" && answer !== null && "code" in answer);
      return answer.code;
    };
    const calls = ["Get", "Cancel", "Delete", "Wait"].map((verb) =>
      post(`google.longrunning.Operations/${verb}Operation`, { name }),
    );
    calls.push(post("google.longrunning.Operations/ListOperations", {}));
    calls.push(post("printing.v1.PrintService/Print", {}));
    const overRest = fetch(`${server.baseUrl}/v1/${name}`, {
      headers: { "x-server-timeout": String(timeoutMs / 1000) },
    });
    const session = await openSession(server.baseUrl);
    const overGrpc = rawCall(session, {
      headers: {
        ":method": "POST",
        ":path": "/google.longrunning.Operations/GetOperation",
        "content-type": "application/grpc",
        "grpc-timeout": `${timeoutMs}m`,
        te: "trailers",
      },
      chunks: [
        envelopeBytes(
          toBinary(GetOperationRequestSchema, create(GetOperationRequestSchema, { name })),
        ),
      ],
    });
    const codes = await Promise.all(calls);
    const { headers, trailers } = await overGrpc;
    const grpcStatus = new Map([...headers, ...trailers]).get("grpc-status");
    assert.deepEqual([grpcStatus, (await overRest).status], [String(Code.DeadlineExceeded), 504]);
    session.destroy();
    await client.query("rollback");
    client.release();
    assert.deepEqual(
      codes,
      calls.map(() => "deadline_exceeded"),
    );
    await server.close();
    await operations.shutdown();
  });
});
