import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import express from "express";
import { describe, it, onTestFinished } from "vitest";
import { createHealth, type HealthOptions } from "../../src/health/index.js";
import { createNodeListener, createServer, type ServerOptions } from "../../src/node/index.js";
import { Health, HealthCheckResponse_ServingStatus, Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { createManualClock } from "../../src/testing/index.js";
import { createProbeHandler, createWebHandler } from "../../src/web/index.js";
import { openRawConnection } from "../support/raw-connection.js";
import { rejectionOf } from "../support/rejection.js";

async function serve(options: Partial<ServerOptions> = {}) {
  const server = createServer({ routes: () => {}, ...options });
  const { url, port } = await server.listen();
  onTestFinished(() => server.close({ graceMs: 0 }));
  return { server, url, port };
}

const statusOf = async (url: string, init?: RequestInit) => (await fetch(url, init)).status;
const bothOf = (url: string) => Promise.all([statusOf(`${url}/livez`), statusOf(`${url}/readyz`)]);

describe("/livez and /readyz of createServer", () => {
  it("respond with 200 over HTTP/1.1, and may not be cached", async () => {
    const { url } = await serve();
    assert.deepEqual(await bothOf(url), [200, 200]);
    const response = await fetch(`${url}/readyz?verbose`);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(await response.text(), "ok\n");
  });

  it("respond over HTTP/2", async () => {
    const { url } = await serve();
    const session = connect(url);
    const stream = session.request({ ":path": "/readyz" });
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 200);
    session.destroy();
  });

  it.each(["GET", "HEAD", "OPTIONS"])(
    "respond to %s of HTTP/1.0 without a host",
    async (method) => {
      const { port } = await serve({ allowedHosts: ["api.example"] });
      const connection = await openRawConnection(port);
      await connection.send(`${method} /readyz HTTP/1.0\r\n\r\n`);
      const received = await connection.ended;
      assert.match(received, /^HTTP\/1.1 200 /);
      assert.equal(received.endsWith("ok\n"), method !== "HEAD");
    },
  );

  it("refuse other methods with 405", async () => {
    const { url } = await serve();
    const response = await fetch(`${url}/livez`, { method: "POST" });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
  });

  it("respond to any host, as does Check: orchestrators call a server by its address", async () => {
    const { url, port } = await serve({ allowedHosts: ["api.example"] });
    const session = connect(url);
    const answerTo = async (path: string) => {
      const headers = { ":authority": "10.0.0.7:8080", ":path": path, ":method": "POST" };
      const grpc = { "content-type": "application/grpc", te: "trailers" };
      const stream = session.request({ ...headers, ...grpc });
      stream.end(Buffer.alloc(5));
      const [head] = await once(stream, "response");
      return head["grpc-status"] ?? head[":status"];
    };
    assert.equal(await answerTo("/grpc.health.v1.Health/Check"), 200);
    assert.equal(await answerTo("/grpc.health.v1.Health/List"), "7");
    session.destroy();
    const connection = await openRawConnection(port);
    await connection.send(
      "GET /livez HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nConnection: close\r\n\r\n",
    );
    assert.match(await connection.ended, /^HTTP\/1.1 200 /);
  });

  it("come after the handlers, which leave these paths to them", async () => {
    const operations = createOperations();
    const { url } = await serve({
      routes: (router) => void router.service(Operations, operations.service),
      handlers: (router) => [
        ({ path }) => (path === "/livez" ? { status: 418, headers: {} } : undefined),
        createRestHandler(router, { rules: operationsHttpRules() }),
      ],
    });
    assert.deepEqual(await bothOf(url), [418, 200]);
  });

  it("do not exist without health", async () => {
    const { url } = await serve({ health: false });
    assert.deepEqual(await bothOf(url), [404, 404]);
  });

  it("show that a server is alive and not ready from the call of close on", async () => {
    const { server, url } = await serve();
    const closed = server.close({ graceMs: 5000, drainDelayMs: 5000 });
    assert.deepEqual(await bothOf(url), [200, 503]);
    await server.close({ graceMs: 0 });
    await closed;
  });

  it("follow the health of the server as a whole", async () => {
    const { server, url } = await serve();
    server.health?.set("", "NOT_SERVING");
    assert.deepEqual(await bothOf(url), [200, 503]);
    server.health?.set("", "SERVING");
    assert.deepEqual(await bothOf(url), [200, 200]);
  });
});

describe("health with a check", () => {
  /** A store that does not respond while `isAway`. */
  function createCheckedServer() {
    const clock = createManualClock();
    const store = createMemoryStore();
    const state = { isAway: false, changes: [] as boolean[] };
    const operations = createOperations({
      store: {
        ...store,
        async get(...args) {
          if (state.isAway) throw new Error("no connection");
          return store.get(...args);
        },
      },
    });
    const health: HealthOptions = {
      check: operations.checkStore,
      clock,
      onReadyChange: (isReady) => state.changes.push(isReady),
    };
    return { clock, state, operations, health };
  }

  it("is NOT_SERVING for all services while the store does not respond", async () => {
    const { clock, state, operations, health } = createCheckedServer();
    const { url } = await serve({
      routes: (router) => void router.service(Operations, operations.service),
      health,
    });
    const sessionManager = new Http2SessionManager(url);
    onTestFinished(() => sessionManager.abort());
    const client = createClient(Health, createGrpcTransport({ baseUrl: url, sessionManager }));
    const watch = client.watch({ service: Operations.typeName })[Symbol.asyncIterator]();
    const next = async () => (await watch.next()).value?.status;
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
    assert.equal(await next(), SERVING);

    state.isAway = true;
    await clock.advance(5000);
    assert.equal(await next(), NOT_SERVING);
    assert.deepEqual(await bothOf(url), [200, 503]);

    state.isAway = false;
    await clock.advance(5000);
    assert.equal(await next(), SERVING);
    assert.deepEqual(await bothOf(url), [200, 200]);
    assert.deepEqual(state.changes, [false, true]);
  });

  it("does not become ready again once it drains, and calls the check no more", async () => {
    const { clock, state, health: options } = createCheckedServer();
    const health = createHealth(options);
    state.isAway = true;
    await clock.advance(5000);
    health.drain();
    state.isAway = false;
    await clock.advance(60_000);
    assert.deepEqual([health.isServing, state.changes], [false, [false]]);
    assert.equal(clock.scheduled({ background: true }), 0);
  });

  it("rejects an interval that is not positive", () => {
    const check = async () => undefined;
    assert.throws(() => createHealth({ check, checkIntervalMs: 0 }), RangeError);
  });

  it("has UNAVAILABLE from checkStore after the operations are shut down", async () => {
    const operations = createOperations();
    await operations.checkStore();
    await operations.shutdown({ graceMs: 0 });
    assert.equal((await rejectionOf(operations.checkStore())).code, 14);
  });
});

describe("the probes of other servers", () => {
  it("are in createWebHandler", async () => {
    const server = createWebHandler({ routes: () => {} });
    const status = async (path: string) =>
      (await server.fetch(new Request(`http://localhost${path}`))).status;
    assert.deepEqual([await status("/livez"), await status("/readyz")], [200, 200]);
    server.health?.drain();
    assert.deepEqual([await status("/livez"), await status("/readyz")], [200, 503]);
  });

  it("are a handler for Express beside a Connect router", async () => {
    const health = createHealth();
    const app = express().use(createNodeListener(createProbeHandler(health)));
    const listening = createHttpServer(app).listen(0, "127.0.0.1");
    onTestFinished(() => void listening.close());
    await once(listening, "listening");
    const address = listening.address();
    assert.ok(address !== null && typeof address === "object");
    const url = `http://127.0.0.1:${address.port}`;
    assert.deepEqual(await bothOf(url), [200, 200]);
    health.drain();
    assert.deepEqual(await bothOf(url), [200, 503]);
    assert.equal(await statusOf(`${url}/other`), 404);
  });
});
