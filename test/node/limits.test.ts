import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, it } from "vitest";
import {
  createServer,
  type RequestRecord,
  type Server,
  type ServerAddress,
  type ServerEvent,
  type ServerLimits,
} from "../../src/node/index.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/protos.js";
import { handlerFromFetch } from "../../src/web/index.js";
import { createDeferred, type Deferred } from "../support/deferred.js";
import { http2Headers, http2Preface } from "../support/http2-frames.js";
import { openRawConnection } from "../support/raw-connection.js";

/** Short, so that the tests are quick. A call that misses its limit fails by name. */
const limits: ServerLimits = {
  headersTimeoutMs: 250,
  bodyTimeoutMs: 200,
  pauseTimeoutMs: 100,
  sendTimeoutMs: 100,
  idleTimeoutMs: 200,
  pingTimeoutMs: 400,
  maxConnections: 4,
  maxStreams: 50,
  maxHeaderBytes: 8192,
};
const checkPath = "/grpc.health.v1.Health/Check";

let server: Server;
let address: ServerAddress;
let events: ServerEvent[];
/** The next one whose answer ends. */
let nextRequest: Deferred<RequestRecord>;

beforeEach(async () => {
  events = [];
  nextRequest = createDeferred();
  server = createServer({
    routes: () => {},
    readMaxBytes: 1000,
    limits,
    log: (event) => events.push(event),
    onRequest: (record) => nextRequest.resolve(record),
    handlers: () => [
      handlerFromFetch(
        (request) => {
          const { pathname } = new URL(request.url);
          if (pathname === "/endless") return new Response(endless());
          return request.text().then((text) => new Response(text));
        },
        { readMaxBytes: 1000 },
      ),
    ],
  });
  address = await server.listen();
});

afterEach(async () => {
  // After each test the server still serves others, and has reported no error of its own.
  const sessionManager = new Http2SessionManager(address.url);
  const transport = createGrpcTransport({ baseUrl: address.url, sessionManager });
  const { status } = await createClient(Health, transport).check({});
  assert.equal(status, HealthCheckResponse_ServingStatus.SERVING);
  sessionManager.abort();
  await server.close({ graceMs: 0 });
  assert.deepEqual(
    events.filter(({ kind }) => kind === "handler-failed"),
    [],
  );
});

describe("a client of HTTP/1.1", () => {
  it("is closed when it says nothing", async () => {
    const connection = await openRawConnection(address.port);
    assert.equal(await connection.ended, "");
  });

  it("is closed with 408 when its headers come too slowly", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow:");
    assert.match(await connection.ended, /^HTTP\/1.1 408 /);
  });

  it("is closed with 431 when its headers are too large", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(
      `GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(9000)}\r\n\r\n`,
    );
    assert.match(await connection.ended, /^HTTP\/1.1 431 /);
  });

  it("is answered with DEADLINE_EXCEEDED and closed when its body comes too slowly", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(post(checkPath, "content-length: 10", "{"));
    const answer = await connection.ended;
    assert.match(answer, /^HTTP\/1.1 504 /);
    assert.match(answer, /"code":"deadline_exceeded"/);
    assert.match(answer, /"google.rpc.ErrorInfo"/);
  });

  it("is answered with RESOURCE_EXHAUSTED when its message is too large", async () => {
    const connection = await openRawConnection(address.port);
    const body = JSON.stringify({ service: "x".repeat(1000) });
    await connection.send(post(checkPath, `content-length: ${body.length}`, body));
    const answer = await connection.receives((received) => received.includes("}"));
    assert.match(answer, /^HTTP\/1.1 429 /);
    assert.match(answer, /"code":"resource_exhausted"/);
    connection.socket.destroy();
  });

  it("is answered with 413 when it announces too large a body for the fetch handler", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(post("/v1/echo", "content-length: 1001", ""));
    const answer = await connection.ended;
    assert.match(answer, /^HTTP\/1.1 413 /);
    assert.match(answer, /"reason":"REQUEST_TOO_LARGE"/);
  });

  it("is answered with 429 when too large a body comes in pieces", async () => {
    const connection = await openRawConnection(address.port);
    const piece = `200\r\n${"x".repeat(512)}\r\n`;
    await connection.send(post("/v1/echo", "transfer-encoding: chunked", piece + piece));
    const answer = await connection.ended;
    assert.match(answer, /^HTTP\/1.1 429 /);
    assert.match(answer, /"reason":"REQUEST_TOO_LARGE"/);
  });

  it.each(["a b", "[", "x:99999", "%"])("is answered with 400 for the host %s", async (host) => {
    const connection = await openRawConnection(address.port);
    await connection.send(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const answer = await connection.ended;
    assert.match(answer, /^HTTP\/1.1 400 /);
    assert.match(answer, /"reason":"BAD_TARGET"/);
  });

  it("is closed when it sends garbage", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send("\0\xff\x80garbage\r\n\r\n".repeat(100));
    assert.match(await connection.ended, /^HTTP\/1.1 400 /);
  });

  it("is closed when it is idle", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(post(checkPath, "content-length: 2", "{}"));
    assert.match(await connection.ended, /^HTTP\/1.1 200 .*{"status":"SERVING"}$/s);
  });

  it("is closed when it half-closes in the middle of a request", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(post(checkPath, "content-length: 10", "{"));
    connection.socket.end();
    await connection.ended;
  });

  it("is cut off when it does not read its answer", async () => {
    const connection = await openRawConnection(address.port);
    connection.socket.pause();
    await connection.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const { path, aborted } = await nextRequest.promise;
    assert.deepEqual({ path, aborted }, { path: "/endless", aborted: true });
    connection.socket.resume();
    await connection.ended;
  });

  it("is refused when there are too many connections", async () => {
    const held = await Promise.all(
      Array.from({ length: 4 }, () => openRawConnection(address.port)),
    );
    const refused = await openRawConnection(address.port);
    assert.equal(await refused.ended, "");
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["connection-refused"],
    );
    await Promise.all(held.map(({ ended }) => ended));
  });
});

describe("a client of HTTP/2", () => {
  let session: ClientHttp2Session | undefined;

  afterEach(() => session?.destroy());

  const open = async (settings = {}) => {
    session = connect(address.url, { settings });
    // A GOAWAY with an error is one of the session as well.
    session.on("error", () => {});
    await once(session, "remoteSettings");
    return session;
  };
  const call = (to: ClientHttp2Session, path: string, headers = {}) =>
    to.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });

  it("is closed when its preface stops halfway", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(http2Preface.slice(0, 20));
    assert.equal(await connection.ended, "");
  });

  it("is closed when nothing follows its preface", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(http2Preface);
    await connection.ended;
  });

  it("is closed when garbage follows its preface", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(http2Preface + "\xff\0\x80garbage".repeat(100));
    // GOAWAY with FRAME_SIZE_ERROR (RFC 9113, sections 6.8 and 4.2).
    const goAway = `\x07\0${"\0".repeat(4)}${"\0".repeat(4)}\0\0\0\x06`;
    assert.ok((await connection.ended).includes(goAway));
  });

  it("receives GOAWAY when it is idle", async () => {
    const to = await open();
    const [code] = await once(to, "goaway");
    assert.equal(code, constants.NGHTTP2_NO_ERROR);
    await once(to, "close");
  });

  it("has its stream reset when its headers are too large", async () => {
    const stream = call(await open(), checkPath, { "x-large": "x".repeat(9000) });
    await assert.rejects(once(stream, "response"), { code: "ERR_HTTP2_STREAM_ERROR" });
    assert.equal(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it("is answered with DEADLINE_EXCEEDED when its message comes too slowly", async () => {
    const stream = call(await open(), checkPath);
    stream.write(Buffer.of(0));
    stream.resume();
    const [trailers] = await once(stream, "trailers");
    assert.equal(trailers["grpc-status"], "4");
    const message = decodeURIComponent(String(trailers["grpc-message"]));
    assert.equal(message, "the request did not arrive within 200 ms");
  });

  it("is answered with DEADLINE_EXCEEDED when it pauses for too long in a stream", async () => {
    const stream = call(await open(), "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    const listServices = Buffer.of(0, 0, 0, 0, 2, 0x3a, 0);
    stream.write(listServices);
    const [answer] = await once(stream, "data");
    assert.ok(answer.includes("grpc.health.v1.Health"));
    const [trailers] = await once(stream, "trailers");
    assert.equal(trailers["grpc-status"], "4");
  });

  it("is answered with RESOURCE_EXHAUSTED when its message is too large", async () => {
    const stream = call(await open(), checkPath);
    stream.end(Buffer.concat([Buffer.of(0, 0, 0, 4, 0), Buffer.alloc(1024)]));
    stream.resume();
    const [trailers] = await once(stream, "trailers");
    assert.equal(trailers["grpc-status"], "8");
  });

  it("has its stream reset when it does not take its answer", async () => {
    const to = await open({ initialWindowSize: 0 });
    const stream = to.request({ ":path": "/endless" });
    await once(stream, "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  });

  it("learns how many streams it may open, and how large headers may be", async () => {
    const { maxConcurrentStreams, maxHeaderListSize } = (await open()).remoteSettings;
    assert.deepEqual(
      { maxConcurrentStreams, maxHeaderListSize },
      {
        maxConcurrentStreams: limits.maxStreams,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
    );
  });

  it("keeps a quiet call open for as long as it answers pings", async () => {
    const to = await open();
    let pings = 0;
    const pingedTwice = new Promise<void>((resolve) => {
      to.on("ping", () => {
        pings += 1;
        if (pings === 2) resolve();
      });
    });
    const stream = call(to, "/grpc.health.v1.Health/Watch");
    stream.end(Buffer.alloc(5));
    await once(stream, "data");
    await pingedTwice;
    server.health?.set("", "NOT_SERVING");
    const [change] = await once(stream, "data");
    assert.deepEqual([...change], [0, 0, 0, 0, 2, 8, 2]);
    server.health?.set("", "SERVING");
    stream.close();
  });

  it("is cut off when it leaves a ping without an answer in the middle of a call", async () => {
    const connection = await openRawConnection(address.port);
    const headers = http2Headers(1, {
      ":method": "POST",
      ":scheme": "http",
      ":path": "/grpc.health.v1.Health/Watch",
      ":authority": "localhost",
      "content-type": "application/grpc",
    });
    const data = "\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0";
    await connection.send(http2Preface + headers + data);
    const received = await connection.ended;
    const serving = "\0\0\0\0\x02\x08\x01";
    const ping = "\0\0\x08\x06\0\0\0\0\0";
    assert.ok(received.includes(serving));
    assert.ok(received.indexOf(ping) > received.indexOf(serving));
  });

  it("keeps its connection if its call arrives while the server's event loop is stalled", async () => {
    const connection = await openRawConnection(address.port);
    await connection.send(http2Preface);
    await connection.receives((received) => received !== "");
    const headers = http2Headers(1, {
      ":method": "POST",
      ":scheme": "http",
      ":path": "/grpc.health.v1.Health/Watch",
      ":authority": "localhost",
      "content-type": "application/grpc",
    });
    void connection.send(`${headers}\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0`);
    // The idle timer is due before the server can read the call.
    stall(300);
    const serving = "\0\0\0\0\x02\x08\x01";
    const received = await connection.receives((bytes) => bytes.includes(serving));
    assert.ok(!received.includes(goAwayFrame));
    connection.socket.destroy();
  });

  it("keeps its connection if its pong arrives while the server's event loop is stalled", async () => {
    const to = await open();
    const stream = call(to, "/grpc.health.v1.Health/Watch");
    stream.end(Buffer.alloc(5));
    await once(stream, "data");
    for (let ping = 0; ping < 2; ping += 1) {
      // The client has responded when it says so, and the server has not read that.
      await once(to, "ping");
      stall(500);
    }
    server.health?.set("", "NOT_SERVING");
    const [change] = await once(stream, "data");
    assert.deepEqual([...change], [0, 0, 0, 0, 2, 8, 2]);
    server.health?.set("", "SERVING");
    stream.close();
  });

  it("receives GOAWAY when it opens and resets streams without end", async () => {
    // Streams alone are to end this connection, on a busy machine too.
    const patient = createServer({ routes: () => {} });
    session = connect((await patient.listen()).url);
    const to = session;
    to.on("error", () => {});
    await once(to, "remoteSettings");
    let goAwayCode: number | undefined;
    to.once("goaway", (code) => {
      goAwayCode = code;
    });
    // Resets count against a budget that nghttp2 has, of 1000 and 33 more a second.
    for (let round = 0; round < 100 && goAwayCode === undefined; round += 1) {
      const streams = Array.from({ length: 40 }, () => call(to, "/grpc.health.v1.Health/Watch"));
      await Promise.all(
        streams.map(async (stream) => {
          stream.on("error", () => {});
          stream.end(Buffer.alloc(5));
          await Promise.race([once(stream, "data"), once(stream, "close")]).catch(() => {});
          stream.close(constants.NGHTTP2_CANCEL);
        }),
      );
    }
    assert.equal(goAwayCode, constants.NGHTTP2_INTERNAL_ERROR);
    await patient.close({ graceMs: 0 });
  });
});

/** The head of a GOAWAY frame without debug data (RFC 9113, section 6.8); Latin-1. */
const goAwayFrame = `\0\0\x08\x07${"\0".repeat(5)}`;

/** Keeps the event loop busy for `ms` milliseconds. */
function stall(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

describe("createServer", () => {
  it.each([
    [{ maxConnections: 0 }, "maxConnections must be at least 1, not 0"],
    [{ idleTimeoutMs: 0 }, "idleTimeoutMs must be from 1 to 2147483647, not 0"],
    [{ maxHeaderBytes: 100 }, "maxHeaderBytes must be from 1024 to 16777216, not 100"],
    [{ maxStreams: Number.NaN }, "maxStreams must be a whole number, not NaN"],
    [{ sendTimeoutMs: 1.5 }, "sendTimeoutMs must be a whole number, not 1.5"],
  ])("refuses %o", (wrong, expected) => {
    const wrongly = () => createServer({ routes: () => {}, limits: wrong });
    assert.throws(wrongly, { name: "RangeError", message: expected });
  });
});

/** A unary call of Connect over HTTP/1.1. */
function post(path: string, framing: string, body: string): string {
  const type = "content-type: application/json";
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${type}\r\n${framing}\r\n\r\n${body}`;
}

function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
}
