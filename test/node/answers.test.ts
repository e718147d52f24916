import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createContextKey,
  createContextValues,
  decodeBinaryHeader,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, it } from "vitest";
import {
  createServer,
  type RequestRecord,
  type Server,
  type ServerEvent,
  type ServerOptions,
} from "../../src/node/index.js";
import { Health, Operations, StatusSchema } from "../../src/protos.js";
import { handlerFromFetch } from "../../src/web/index.js";
import { createForeignOperations } from "../protocols/foreign-operations.js";
import { createDeferred } from "../support/deferred.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { openRawConnection } from "../support/raw-connection.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";

let server: Server | undefined;

afterEach(async () => {
  await server?.close({ graceMs: 0 });
});

/** A server with nothing but health and reflection, unless the options say otherwise. */
async function serve(options: Partial<ServerOptions> = {}) {
  server = createServer({ routes: () => {}, ...options });
  return server.listen();
}

describe("a method without a handler", () => {
  it.each([
    ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
    ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ])("is UNIMPLEMENTED in %s, with the reason", async (_, open) => {
    const { url } = await serve();
    const call = createClient(Operations, open(url)).getOperation({ name: "operations/a" });
    assert.equal((await rejectionOf(call)).code, Code.Unimplemented);
    const { errorInfo } = await rejectionDetailsOf(call);
    assert.equal(errorInfo?.reason, "NOT_SERVED");
    assert.deepEqual(errorInfo?.metadata, { path: "/google.longrunning.Operations/GetOperation" });
  });

  it("is UNIMPLEMENTED for grpc-js, which needs the stream to end with the headers", async () => {
    const { port } = await serve();
    const client = createForeignOperations(port);
    await assert.rejects(client.get({ name: "operations/a" }), { code: status.UNIMPLEMENTED });
    client.close();
  });

  it("is answered in the headers alone, as gRPC's Trailers-Only", async () => {
    const { url } = await serve();
    const headers = { "content-type": "application/grpc+proto" };
    const response = await fetch(`${url}/no.Such/Method%25`, { method: "POST", headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/grpc+proto");
    assert.equal(response.headers.get("grpc-status"), String(Code.Unimplemented));
    const bytes = decodeBinaryHeader(response.headers.get("grpc-status-details-bin") ?? "");
    const { message } = fromBinary(StatusSchema, bytes);
    assert.equal(message, 'nothing is served at "/no.Such/Method%25"');
    assert.equal(decodeURIComponent(response.headers.get("grpc-message") ?? ""), message);
  });
});

describe("a path without a handler", () => {
  it("is answered with 404 and the JSON of AIP-193", async () => {
    const { url } = await serve({ handlers: byFetch(() => undefined) });
    const response = await fetch(`${url}/v1/nothing?secret=1`);
    assert.equal(response.status, 404);
    assert.deepEqual(await response.json(), {
      error: {
        code: 404,
        status: "UNIMPLEMENTED",
        message: 'nothing is served at "/v1/nothing"',
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: "NOT_SERVED",
            domain: "connect-longrunning",
            metadata: { path: "/v1/nothing" },
          },
        ],
      },
    });
  });

  it("leaves the connection open for the next request", async () => {
    const { port } = await serve();
    const connection = await openRawConnection(port);
    await connection.send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await connection.receives((received) => received.endsWith("}}"));
    await connection.send("HEAD /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const both = await connection.receives((received) => received.endsWith("\r\n\r\n"));
    assert.equal(both.match(/HTTP\/1.1 404 Not Found/g)?.length, 2);
    connection.socket.destroy();
  });
});

/** The handlers of a server that has one, made of a function of the web's kind. */
function byFetch(fetch: Parameters<typeof handlerFromFetch>[0]): ServerOptions["handlers"] {
  return () => [handlerFromFetch(fetch)];
}

describe("handlerFromFetch", () => {
  it("shows the client INTERNAL and the log hook the cause when it throws", async () => {
    const events: ServerEvent[] = [];
    const cause = new Error("the secret of the database");
    const { url } = await serve({
      log: (event) => events.push(event),
      handlers: byFetch(() => {
        throw cause;
      }),
    });
    const response = await fetch(`${url}/v1/x`);
    assert.equal(response.status, 500);
    const answer = await response.text();
    assert.match(answer, /"reason":"INTERNAL"/);
    assert.doesNotMatch(answer, /secret/);
    assert.deepEqual(events, [{ kind: "handler-failed", path: "/v1/x", cause }]);
  });

  it("streams its answer", async () => {
    const mayGoOn = createDeferred();
    const { url } = await serve({
      handlers: byFetch(
        () =>
          new Response(
            new ReadableStream({
              async start(controller) {
                controller.enqueue(Buffer.from("one "));
                await mayGoOn.promise;
                controller.enqueue(Buffer.from("two"));
                controller.close();
              },
            }),
          ),
      ),
    });
    const response = await fetch(`${url}/v1/x`);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    assert.equal(Buffer.from(first?.value ?? []).toString(), "one ");
    mayGoOn.resolve();
    const second = await reader?.read();
    assert.equal(Buffer.from(second?.value ?? []).toString(), "two");
  });

  it("hears by its signal that the client went away", async () => {
    const arrived = createDeferred();
    const aborted = createDeferred();
    const { port } = await serve({
      handlers: byFetch(async ({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        arrived.resolve();
        await aborted.promise;
        return new Response();
      }),
    });
    const connection = await openRawConnection(port);
    await connection.send("GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await arrived.promise;
    connection.socket.destroy();
    await aborted.promise;
  });

  it("has its answer cancelled when the client goes away without reading it", async () => {
    const cancelled = createDeferred();
    const { port } = await serve({
      handlers: byFetch(
        () =>
          new Response(
            new ReadableStream({
              pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
              cancel: () => cancelled.resolve(),
            }),
          ),
      ),
    });
    const connection = await openRawConnection(port);
    connection.socket.pause();
    await connection.send("GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(connection.socket, "readable");
    connection.socket.destroy();
    await cancelled.promise;
  });

  it("throws a ConnectError to have it answered", async () => {
    const { url } = await serve({
      handlers: byFetch(() => {
        throw new ConnectError("lost the lease", Code.Aborted);
      }),
    });
    const response = await fetch(`${url}/v1/x`);
    assert.equal(response.status, 409);
    assert.deepEqual(await response.json(), {
      error: { code: 409, status: "ABORTED", message: "lost the lease" },
    });
  });

  it("is given a path that begins with two slashes as a path", async () => {
    const { port } = await serve({ handlers: byFetch(({ url }) => new Response(url)) });
    const connection = await openRawConnection(port);
    await connection.send(
      "GET //other.example/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert.match(await connection.ended, /\r\nhttp:\/\/localhost\/\/other\.example\/x\r\n/);
  });

  it("is not asked for methods that the web's Request refuses", async () => {
    const { port } = await serve({ handlers: byFetch(() => new Response("asked")) });
    const connection = await openRawConnection(port);
    await connection.send("TRACE /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert.match(await connection.ended, /^HTTP\/1.1 405 /);
  });
});

describe("contextValues", () => {
  it("reach the interceptors, which run for health too", async () => {
    const agentKey = createContextKey("");
    let agent = "";
    const { url } = await serve({
      contextValues: ({ headers }) =>
        createContextValues().set(agentKey, headers["user-agent"] ?? ""),
      interceptors: [
        (next) => (request) => {
          agent = request.contextValues.get(agentKey);
          return next(request);
        },
      ],
    });
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
    await createClient(Health, transport).check({});
    assert.match(agent, /^connect-es\//);
  });
});

describe("CORS", () => {
  const preflight = (url: string, origin: string) =>
    fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("grants nothing unless it is asked to", async () => {
    const { url } = await serve();
    const { headers } = await preflight(url, "https://a.example");
    assert.equal(headers.get("access-control-allow-origin"), null);
  });

  it("grants the origins that it names what the protocols need", async () => {
    const { url } = await serve({
      cors: { origins: ["https://a.example"], allowedHeaders: ["x-own"], credentials: true },
    });
    const { status, headers } = await preflight(url, "https://a.example");
    assert.equal(status, 204);
    assert.equal(headers.get("access-control-allow-origin"), "https://a.example");
    assert.equal(headers.get("access-control-allow-credentials"), "true");
    assert.equal(headers.get("vary"), "origin");
    const allowed = headers.get("access-control-allow-headers")?.toLowerCase().split(", ");
    for (const name of ["content-type", "x-grpc-web", "x-goog-request-params", "x-own"]) {
      assert.ok(allowed?.includes(name), name);
    }
    assert.match(headers.get("access-control-allow-methods") ?? "", /POST/);

    const other = await preflight(url, "https://b.example");
    assert.equal(other.headers.get("access-control-allow-origin"), null);
    assert.equal(other.headers.get("vary"), "origin");
  });

  it("lets pages read the headers of gRPC-Web's answers", async () => {
    const { url } = await serve({ cors: { origins: "*" } });
    const { headers } = await fetch(`${url}/x`, { headers: { origin: "https://a.example" } });
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.match(headers.get("access-control-expose-headers") ?? "", /grpc-status-details-bin/i);
  });

  it("keeps the Vary header of the fetch handler's response", async () => {
    const { url } = await serve({
      cors: { origins: ["https://a.example"] },
      handlers: byFetch(() => new Response("", { headers: { vary: "accept-encoding" } })),
    });
    const { headers } = await fetch(url);
    assert.equal(headers.get("vary"), "accept-encoding, origin");
  });

  it("refuses credentials for every origin", () => {
    const cors = { origins: "*", credentials: true } as const;
    assert.throws(() => createServer({ routes: () => {}, cors }), TypeError);
  });
});

describe("onRequest", () => {
  it("hears that an answer over HTTP/2 was whole, and that one was broken off", async () => {
    const records: RequestRecord[] = [];
    const heard = createDeferred();
    const { url } = await serve({
      onRequest: (record) => {
        if (records.push(record) === 2) heard.resolve();
      },
    });
    const sessionManager = new Http2SessionManager(url);
    const health = createClient(Health, createGrpcTransport({ baseUrl: url, sessionManager }));
    await health.check({});
    const controller = new AbortController();
    await rejectionOf(
      (async () => {
        for await (const _ of health.watch({}, { signal: controller.signal })) controller.abort();
      })(),
    );
    await heard.promise;
    sessionManager.abort();
    assert.deepEqual(
      records.map(({ path, httpVersion, status, aborted }) => [path, httpVersion, status, aborted]),
      [
        ["/grpc.health.v1.Health/Check", "2.0", 200, false],
        ["/grpc.health.v1.Health/Watch", "2.0", 200, true],
      ],
    );
  });

  it("is called for each response, without the query; its exceptions harm no call", async () => {
    const record = createDeferred<RequestRecord>();
    const { url } = await serve({
      onRequest(heard) {
        record.resolve(heard);
        throw new Error("the log is full");
      },
    });
    assert.equal((await fetch(`${url}/v1/x?token=1`)).status, 404);
    const { durationMs, ...heard } = await record.promise;
    assert.deepEqual(heard, {
      method: "GET",
      path: "/v1/x",
      httpVersion: "1.1",
      status: 404,
      aborted: false,
      remoteAddress: "127.0.0.1",
    });
    assert.ok(durationMs >= 0);
    assert.equal((await fetch(`${url}/v1/x`)).status, 404);
  });

  it("harms no call if it rejects later", async () => {
    const rejected = createDeferred();
    // An unhandled rejection ends the process, and fails this run.
    const onRequest = async () => {
      await Promise.resolve();
      rejected.resolve();
      throw new Error("the log is full");
    };
    const { url } = await serve({ onRequest });
    assert.equal((await fetch(`${url}/v1/x`)).status, 404);
    await rejected.promise;
    assert.equal((await fetch(`${url}/v1/x`)).status, 404);
  });
});

describe("a stream of HTTP/2 whose request does not end", () => {
  it.each([
    ["gRPC, by headers alone", { "content-type": "application/grpc" }],
    ["JSON", { "content-type": "text/plain" }],
  ])("is reset once it is answered, whole: in %s", async (_, header) => {
    const { url } = await serve();
    const session = await openSession(url);
    const headers = { ":method": "POST", ":path": "/no.Such/Method", ...header };
    const answer = await rawCall(session, { headers, chunks: [Buffer.from("x")], ending: "open" });
    const { "grpc-status": grpcStatus, ...others } = Object.fromEntries(answer.headers);
    if (grpcStatus !== undefined) assert.equal(grpcStatus, String(Code.Unimplemented));
    else assert.equal(answer.data.length / 2, Number(others["content-length"]));
    assert.equal(answer.rstCode, constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });
});
