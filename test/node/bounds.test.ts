import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { brotliCompressSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { compressionBrotli } from "@connectrpc/connect-node";
import { afterEach, describe, it } from "vitest";
import { createServer, type Server, type ServerOptions } from "../../src/node/index.js";
import { createRestHandler } from "../../src/rest/index.js";
import type { Handler } from "../../src/web/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";
import { createDeferred } from "../support/deferred.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { http2Headers, http2Preface } from "../support/http2-frames.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { openRawConnection } from "../support/raw-connection.js";

let server: Server | undefined;
const sessions: ClientHttp2Session[] = [];

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await server?.close({ graceMs: 0 });
  server = undefined;
});

async function serve(options: Partial<ServerOptions> = {}) {
  server = createServer({
    routes: (router) =>
      router.service(LibraryService, { getById: (book) => book, updateAll: (book) => book }),
    handlers: (router) => [createRestHandler(router)],
    log: () => undefined,
    ...options,
  });
  return server.listen();
}

async function session(url: string): Promise<ClientHttp2Session> {
  const opened = await openSession(url);
  sessions.push(opened);
  return opened;
}

const updateAll = `/${LibraryService.typeName}/UpdateAll`;
const grpc = { ":method": "POST", ":path": updateAll, "content-type": "application/grpc" };

/** Brotli that counts what it inflates, and inflates when it may. */
function countedBrotli(mayInflate: Promise<void> = Promise.resolve()) {
  let inflated = 0;
  return {
    count: () => inflated,
    compression: {
      ...compressionBrotli,
      async decompress(bytes: Uint8Array, readMaxBytes: number) {
        inflated += 1;
        await mayInflate;
        return compressionBrotli.decompress(new Uint8Array(bytes), readMaxBytes);
      },
    },
  };
}

const nearly4MiB = envelopeBytes(brotliCompressSync(Buffer.alloc(4 * 1024 * 1024 - 1)), 1);

describe("a compressed message", () => {
  it.each([
    ["gRPC by the fast path", true, "application/grpc", 0],
    ["gRPC by Connect's handlers", false, "application/grpc", 2],
    ["gRPC-Web", true, "application/grpc-web", 2],
  ])("is inflated at most once or twice if a thousand come in one call by %s", async (...row) => {
    const [, fastPath, contentType, most] = row;
    const brotli = countedBrotli();
    const { url } = await serve({ fastPath, acceptCompression: [brotli.compression] });
    const answer = await rawCall(await session(url), {
      headers: { ...grpc, "content-type": contentType, "grpc-encoding": "br" },
      chunks: [Buffer.concat(Array.from({ length: 1000 }, () => nearly4MiB))],
    });
    assert.notEqual(answer.headers.length, 0);
    assert.ok(brotli.count() <= most, String(brotli.count()));
  });

  it("is not inflated once its call has ended", async () => {
    const mayInflate = createDeferred();
    const brotli = countedBrotli(mayInflate.promise);
    const { url } = await serve({ acceptCompression: [brotli.compression] });
    const client = await session(url);
    const streams = Array.from({ length: 20 }, () => {
      const stream = client.request({ ...grpc, "grpc-encoding": "br" });
      stream.on("error", () => undefined);
      stream.end(nearly4MiB);
      return stream;
    });
    await new Promise<void>((resolve) => client.ping(() => resolve()));
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await new Promise<void>((resolve) => client.ping(() => resolve()));
    mayInflate.resolve();
    const answer = await rawCall(client, { headers: grpc, chunks: [envelopeBytes(Buffer.of())] });
    assert.deepEqual(answer.trailers, [["grpc-status", "0"]]);
    assert.equal(brotli.count(), 4);
  });
});

describe("pipelined requests", () => {
  const get = "GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n";

  it("are answered in their order, at most `maxPipelined` at a time", async () => {
    let running = 0;
    let most = 0;
    let count = 0;
    const counting: Handler = async () => {
      most = Math.max(most, ++running);
      const body = String(count++);
      await new Promise<void>((resolve) => setImmediate(resolve));
      running -= 1;
      return { status: 200, headers: {}, body: `<${body}>` };
    };
    const { port } = await serve({ handlers: () => [counting], limits: { maxPipelined: 3 } });
    const connection = await openRawConnection(port);
    await connection.send(get.repeat(200));
    const all = await connection.receives((received) => received.includes("<199>"));
    const order = [...all.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number));
    assert.deepEqual(
      order,
      Array.from({ length: 200 }, (_, at) => at),
    );
    assert.equal(most, 3);
    connection.socket.destroy();
  });

  it("all end with their connection, and the rest of them never begin", async () => {
    let begun = 0;
    let aborted = 0;
    const arrived = createDeferred();
    const gone = createDeferred();
    const held: Handler = ({ signal }) => {
      if (++begun === 8) arrived.resolve();
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          if (++aborted === 8) gone.resolve();
          resolve({ status: 200, headers: {} });
        });
      });
    };
    // The server does not read on, so it notices the end when the next headers are overdue.
    const { port } = await serve({ handlers: () => [held], limits: { headersTimeoutMs: 1000 } });
    const connection = await openRawConnection(port);
    connection.socket.write(get.repeat(5001));
    await arrived.promise;
    connection.socket.destroy();
    await gone.promise;
    assert.deepEqual([begun, aborted], [8, 8]);
  });

  it("end with their connection over Connect as well", async () => {
    let aborted = 0;
    const arrived = createDeferred();
    const gone = createDeferred();
    let begun = 0;
    const { port } = await serve({
      routes: (router) =>
        router.rpc(LibraryService.method.updateAll, (book, { signal }) => {
          if (++begun === 8) arrived.resolve();
          return new Promise((resolve) => {
            signal.addEventListener("abort", () => {
              if (++aborted === 8) gone.resolve();
              resolve(book);
            });
          });
        }),
      handlers: () => [],
    });
    const connection = await openRawConnection(port);
    const type = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    connection.socket.write(`POST ${updateAll} HTTP/1.1\r\nHost: localhost\r\n${type}`.repeat(100));
    await arrived.promise;
    connection.socket.destroy();
    await gone.promise;
    assert.equal(begun, 8);
  });
});

describe("the bytes of requests that are being received", () => {
  const head = envelopeBytes(Buffer.alloc(60_000), 0, 1_000_000);
  const requests = {
    grpc: { headers: grpc, chunk: head },
    connect: {
      headers: { ...grpc, "content-type": "application/proto", "content-length": "1000000" },
      chunk: Buffer.alloc(60_000, 10),
    },
    rest: {
      headers: { ":method": "PUT", ":path": "/v1/byId/i", "content-type": "application/json" },
      chunk: Buffer.from(`{"name":"${"x".repeat(60_000)}`),
    },
  };

  it.each(["grpc", "connect", "rest"] as const)(
    "are bounded on one connection, over %s",
    async (protocol) => {
      const { url } = await serve({ limits: { maxConnectionRequestBytes: 200_000 } });
      const client = await session(url);
      const { headers, chunk } = requests[protocol];
      const closed = createDeferred();
      let open = 0;
      const streams = Array.from({ length: 10 }, () => {
        const stream = client.request(headers, { endStream: false });
        open += 1;
        stream.on("error", () => undefined);
        stream.resume();
        stream.once("close", () => {
          open -= 1;
          if (open === 3) closed.resolve();
        });
        stream.write(chunk);
        return stream;
      });
      await closed.promise;
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
      await new Promise<void>((resolve) => client.ping(() => resolve()));
      // All of them are free again.
      const answer = await rawCall(client, { headers: grpc, chunks: [envelopeBytes(Buffer.of())] });
      assert.deepEqual(answer.trailers, [["grpc-status", "0"]]);
    },
  );

  it("are bounded for the whole server, with an error that says so", async () => {
    const { url } = await serve({ limits: { maxRequestBytes: 100_000 } });
    const streams = await Promise.all(
      Array.from({ length: 1 }, async () => (await session(url)).request(grpc)),
    );
    for (const stream of streams) {
      stream.on("error", () => undefined);
      stream.write(head);
    }
    await Promise.all(
      sessions.map((one) => new Promise<void>((resolve) => one.ping(() => resolve()))),
    );
    const refused = await rawCall(await session(url), {
      headers: grpc,
      chunks: [head],
      ending: "open",
    });
    const trailers = Object.fromEntries(refused.trailers);
    assert.equal(trailers["grpc-status"], String(Code.ResourceExhausted));
    assert.match(decodeURIComponent(String(trailers["grpc-message"])), /larger than 100000 bytes/);
  });
});

describe("headers before the client has acknowledged the settings", () => {
  it("are still bounded by `maxHeaderBytes`", async () => {
    const paths: string[] = [];
    const seen = createDeferred();
    const see: Handler = ({ path }) => {
      paths.push(path);
      seen.resolve();
      return { status: 200, headers: {} };
    };
    const { port } = await serve({ handlers: () => [see], limits: { maxHeaderBytes: 4096 } });
    const connection = await openRawConnection(port);
    const basic = { ":method": "GET", ":scheme": "http", ":authority": "localhost" };
    const many = Array.from({ length: 60 }, (_, at) => [`x-${at}`, "v".repeat(100)]);
    await connection.send(
      http2Preface +
        http2Headers(1, { ...basic, ":path": "/large", ...Object.fromEntries(many) }) +
        http2Headers(3, { ...basic, ":path": "/small" }),
    );
    await seen.promise;
    assert.deepEqual(paths, ["/small"]);
    connection.socket.destroy();
  });
});

describe("a response that no call makes", () => {
  it.each(["/nothing", "/v1/byId/%zz"])("is cut off if it is left unread: %s", async (path) => {
    const { url } = await serve({ limits: { sendTimeoutMs: 100 } });
    const client = connect(url, { settings: { initialWindowSize: 0 } });
    sessions.push(client);
    await once(client, "remoteSettings");
    const stream = client.request({ ":path": path });
    stream.on("error", () => undefined);
    await once(stream, "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  });
});

describe("the host of a request", () => {
  const answerTo = async (port: number, head: string) => {
    const connection = await openRawConnection(port);
    await connection.send(`${head}\r\n\r\n`);
    return connection.ended;
  };
  const close = "Connection: close";

  it.each([
    ["localhost", 200],
    ["a.localhost:1", 200],
    ["LOCALHOST.", 200],
    ["127.0.0.1:8080", 200],
    ["127.9.9.9", 200],
    ["[::1]:80", 200],
    ["app.example:81", 200],
    ["evil.example", 403],
    ["localhost.evil.example", 403],
    ["127.0.0.1.evil.example", 403],
  ])("decides on a loopback address: %s", async (host, status) => {
    const { port } = await serve({ allowedHosts: ["App.example"] });
    const answer = await answerTo(port, `GET /v1/byId/i HTTP/1.1\r\nHost: ${host}\r\n${close}`);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    if (status === 403) assert.match(answer, /allowedHosts` \(--allowed-host\)/);
  });

  it("decides over gRPC's fast path and for RPCs too", async () => {
    const { url } = await serve();
    for (const contentType of ["application/grpc", "application/proto"]) {
      const answer = await rawCall(await session(url), {
        headers: { ...grpc, "content-type": contentType, ":authority": "evil.example" },
        chunks: [],
      });
      assert.match(JSON.stringify(answer), /allowedHosts|403/);
    }
  });

  it("does not matter on an address that others can reach, unless the option says so", async () => {
    const head = `GET /v1/byId/i HTTP/1.1\r\nHost: any.example\r\n${close}`;
    await serve();
    await server?.close({ graceMs: 0 });
    server = createServer({
      routes: (router) => router.rpc(LibraryService.method.getById, (book) => book),
      handlers: (router) => [createRestHandler(router)],
    });
    const { port } = await server.listen({ host: "0.0.0.0" });
    assert.match(await answerTo(port, head), /^HTTP\/1.1 200 /);
  });

  it("must be one: two Host fields are 400", async () => {
    const { port } = await serve();
    const head = `GET /v1/byId/i HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n${close}`;
    assert.match(await answerTo(port, head), /^HTTP\/1.1 400 .*BAD_TARGET/s);
  });

  it("may be missing in HTTP/1.0, which old health checks speak", async () => {
    const { port } = await serve();
    assert.match(await answerTo(port, "GET /v1/byId/i HTTP/1.0"), /^HTTP\/1.1 200 /);
  });
});

describe("a page of another origin", () => {
  const foreign = { origin: "https://evil.example" };
  const put = (url: string, headers: Record<string, string>, body?: string) =>
    fetch(`${url}/v1/byId/i`, { method: "PUT", headers, ...(body !== undefined && { body }) });

  it.each([
    ["text", { "content-type": "text/plain" }],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["a form with files", { "content-type": "multipart/form-data; boundary=x" }],
    ["no content type", {}],
  ])("may not change anything by %s, with an empty body", async (_, headers) => {
    const { url } = await serve();
    const response = await put(url, { ...foreign, ...headers });
    assert.equal(response.status, 403);
    const { error } = await response.json();
    assert.equal(error.details[0].reason, "CROSS_SITE");
    assert.match(error.message, /evil\.example.*application\/json/);
  });

  it("may do so if `cors` allows its origin, and so may the server's own pages", async () => {
    const { url } = await serve({ cors: { origins: [foreign.origin] } });
    assert.equal((await put(url, foreign)).status, 200);
    assert.equal((await put(url, { origin: url })).status, 200);
  });

  it("needs a preflight for JSON, which is its browser's matter", async () => {
    const { url } = await serve();
    const headers = { ...foreign, "content-type": "application/json" };
    assert.equal((await put(url, headers, "{}")).status, 200);
  });

  it.each([["text/plain"], [undefined]])(
    "gets 415 for a body of the content type %s, from whatever origin",
    async (type) => {
      const { url } = await serve();
      const body = new Blob(["{}"], type === undefined ? {} : { type });
      const response = await fetch(`${url}/v1/byId/i`, { method: "PUT", body });
      assert.equal(response.status, 415);
    },
  );
});
