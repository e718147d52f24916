import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { text } from "node:stream/consumers";
import { Code, type ConnectRouter, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, it } from "vitest";
import {
  createServer,
  type Server,
  type ServerAddress,
  type ServerEvent,
} from "../../src/node/index.js";
import { Health, HealthCheckResponse_ServingStatus, Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { Print } from "../support/print-server.js";
import { openRawConnection } from "../support/raw-connection.js";
import { rejectionOf } from "../support/rejection.js";

const { NOT_SERVING } = HealthCheckResponse_ServingStatus;

let arrived: Deferred<AbortSignal>;
let mayAnswer: Deferred<void>;
let events: ServerEvent[];
let server: Server;
let address: ServerAddress;
let sessionManager: Http2SessionManager;
let agent: Agent;

/** GetOperation is answered when the test says so. */
const routes = (router: ConnectRouter) =>
  router.service(Operations, {
    async getOperation({ name }, { signal }) {
      arrived.resolve(signal);
      await mayAnswer.promise;
      return { name };
    },
  });

beforeEach(async () => {
  arrived = createDeferred();
  mayAnswer = createDeferred();
  events = [];
  server = createServer({ routes, log: (event) => events.push(event) });
  address = await server.listen();
  sessionManager = new Http2SessionManager(address.url);
  agent = new Agent({ keepAlive: true });
});

afterEach(async () => {
  mayAnswer.resolve();
  sessionManager.abort();
  agent.destroy();
  await server.close({ graceMs: 0 });
});

const overHttp2 = () => createGrpcTransport({ baseUrl: address.url, sessionManager });
const overHttp1 = () =>
  createConnectTransport({ baseUrl: address.url, httpVersion: "1.1", nodeOptions: { agent } });

describe("close", () => {
  it.each([
    ["HTTP/1.1", overHttp1],
    ["HTTP/2", overHttp2],
  ])("answers a call under way over %s, and ends with its connection", async (_, open) => {
    const call = createClient(Operations, open()).getOperation({ name: "operations/a" });
    await arrived.promise;
    const closed = server.close({ graceMs: 60_000 });
    await refusal(address);
    mayAnswer.resolve();
    assert.equal((await call).name, "operations/a");
    await closed;
    assert.deepEqual(events, []);
  });

  it.each<[string, () => Transport]>([
    ["HTTP/1.1", overHttp1],
    ["HTTP/2", overHttp2],
  ])("waits for no client that is idle on a connection over %s", async (_, open) => {
    await createClient(Health, open()).check({});
    await server.close({ graceMs: 60_000 });
    assert.deepEqual(events, []);
  });

  it("does not wait for connections that have said nothing yet", async () => {
    const connection = await openRawConnection(address.port);
    // Accepted for sure, since connections are accepted in turn.
    await createClient(Health, overHttp1()).check({});
    await server.close({ graceMs: 60_000 });
    assert.equal(await connection.ended, "");
  });

  it("aborts the signals of calls with UNAVAILABLE at the end of the grace", async () => {
    const call = createClient(Operations, overHttp2()).getOperation({ name: "operations/a" });
    const signal = await arrived.promise;
    signal.addEventListener("abort", () => mayAnswer.reject(signal.reason));
    const error = rejectionOf(call);
    await server.close({ graceMs: 1 });
    assert.equal((await error).code, Code.Unavailable);
    assert.deepEqual(events, []);
  });

  it("cuts off calls that do not heed their signals", async () => {
    const call = createClient(Operations, overHttp2()).getOperation({ name: "operations/a" });
    await arrived.promise;
    const error = rejectionOf(call);
    await server.close({ graceMs: 1 });
    assert.deepEqual(events, [{ kind: "connections-cut", connections: 1 }]);
    await error;
  });

  it("shows NOT_SERVING first, then drains the operations, then closes the port", async () => {
    await server.close();
    const drained = createDeferred();
    const draining = createDeferred();
    server = createServer({
      routes,
      operations: {
        async shutdown(options) {
          assert.deepEqual(options, { graceMs: 50, drainDelayMs: 0 });
          draining.resolve();
          await drained.promise;
        },
      },
    });
    address = await server.listen();
    const closed = server.close({ graceMs: 50 });
    await draining.promise;
    const health = createClient(Health, overHttp1());
    for (const service of ["", Operations.typeName]) {
      assert.equal((await health.check({ service })).status, NOT_SERVING);
    }
    drained.resolve();
    await closed;
    await refusal(address);
  });

  it("ends watches of health, after they have seen NOT_SERVING", async () => {
    const seen: HealthCheckResponse_ServingStatus[] = [];
    const watching = (async () => {
      for await (const { status } of createClient(Health, overHttp2()).watch({})) {
        if (seen.push(status) === 1) arrived.resolve(AbortSignal.abort());
      }
    })();
    const error = rejectionOf(watching);
    await arrived.promise;
    await server.close({ graceMs: 60_000 });
    assert.equal((await error).code, Code.Unavailable);
    assert.deepEqual(seen, [HealthCheckResponse_ServingStatus.SERVING, NOT_SERVING]);
  });

  it("shuts an operations server down", async () => {
    await server.close();
    const operations = createOperations();
    server = createServer({
      routes: (router) => router.service(Operations, operations.service),
      operations,
    });
    address = await server.listen();
    await server.close();
    assert.equal((await rejectionOf(operations.create(Print, {}))).code, Code.Unavailable);
  });

  it("joins the first call when it is called again", async () => {
    const first = server.close();
    const second = server.close({ graceMs: 0 });
    await Promise.all([first, second]);
  });

  it("closes a server that never listened", async () => {
    await createServer({ routes }).close();
  });

  it("tells HTTP/1.1 clients to close, also in the middle of an answer's making", async () => {
    const request = httpRequest(`${address.url}/google.longrunning.Operations/GetOperation`, {
      method: "POST",
      agent,
      headers: { "content-type": "application/json" },
    });
    request.end("{}");
    await arrived.promise;
    const closed = server.close({ graceMs: 60_000 });
    mayAnswer.resolve();
    const [response] = await once(request, "response");
    assert.equal(response.headers.connection, "close");
    assert.equal(await text(response), "{}");
    await closed;
  });
});

describe("many calls at a time", () => {
  it("make Node warn of nothing", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    try {
      const client = createClient(Operations, overHttp2());
      const calls = Array.from({ length: 20 }, () => client.getOperation({ name: "operations/a" }));
      await arrived.promise;
      mayAnswer.resolve();
      await Promise.all(calls);
    } finally {
      process.off("warning", onWarning);
    }
    assert.deepEqual(warnings, []);
  });
});

describe("listen", () => {
  it("rejects when the port is taken", async () => {
    const other = createServer({ routes });
    await assert.rejects(other.listen({ port: address.port }), { code: "EADDRINUSE" });
    await other.close();
  });

  it("refuses a port out of bounds", async () => {
    await assert.rejects(createServer({ routes }).listen({ port: 65_536 }), RangeError);
  });
});

/** Resolves when the address refuses connections. */
async function refusal({ url }: ServerAddress): Promise<void> {
  for (;;) {
    const request = httpRequest(url, { agent: false });
    request.end();
    try {
      const [response] = await once(request, "response");
      response.resume();
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error);
      assert.equal(error.code, "ECONNREFUSED");
      return;
    }
  }
}
