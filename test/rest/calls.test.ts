import assert from "node:assert/strict";
import { createServer as createHttp2Server, connect as http2Connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import {
  Code,
  ConnectError,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { describe, it } from "vitest";
import { createNodeListener } from "../../src/node/index.js";
import { createRestHandler } from "../../src/rest/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";
import { createDeferred } from "../support/deferred.js";
import { type RestServerOptions, startRestServer } from "./support/rest-server.js";

describe.each([
  { by: "the implementation", isUniversal: false },
  { by: "Connect's handler", isUniversal: true },
])("a call over REST, by $by", ({ isUniversal }) => {
  /** A server whose one method follows the test's instructions. */
  const startOne = (
    getById: (context: HandlerContext) => Promise<object> | object,
    options?: RestServerOptions,
  ) =>
    startRestServer(
      (router) => {
        router.service(LibraryService, { getById: (_, context) => getById(context) });
      },
      { ...options, isUniversal },
    );

  it("goes through the router's interceptors once, with the headers and context values of the request", async () => {
    const key = createContextKey("nobody");
    const seen: unknown[] = [];
    const watch: Interceptor = (next) => async (request) => {
      const { service, method, url, header, contextValues } = request;
      seen.push([service.typeName, method.name, new URL(url).pathname, contextValues.get(key)]);
      assert.equal(header.get("x-own"), "1");
      assert.equal(header.get("accept-encoding"), null);
      const response = await next(request);
      response.header.set("x-answer", "2");
      return response;
    };
    const server = await startOne(() => ({ id: "j" }), {
      router: { interceptors: [watch] },
      listener: { contextValues: () => createContextValues().set(key, "somebody") },
    });
    const header = { "x-own": "1", "accept-encoding": "gzip" };
    const answer = await server.send("GET", "/v1/byId/i", { header });
    assert.deepEqual(answer.json, { id: "j" });
    assert.equal(answer.header["x-answer"], "2");
    const path = "/library.v1.LibraryService/GetById";
    assert.deepEqual(seen, [["library.v1.LibraryService", "GetById", path, "somebody"]]);
    await server.close();
  });

  it.each([
    [{ "x-server-timeout": "1.5" }, 1500],
    [{ "x-server-timeout": "20" }, 20_000],
    [{ "grpc-timeout": "2S" }, 2000],
    [{ "grpc-timeout": "1500m" }, 1500],
    [{ "grpc-timeout": "1H" }, 3_600_000],
    [{ "grpc-timeout": "2S", "x-server-timeout": "0.25" }, 250],
    [{ "connect-timeout-ms": "5" }, undefined],
    [{}, undefined],
  ])("gives the handler the time that %j says", async (header, expected) => {
    let left: number | undefined;
    const server = await startOne((context) => {
      left = context.timeoutMs();
      return {};
    });
    assert.equal((await server.send("GET", "/v1/byId/i", { header: { ...header } })).status, 200);
    if (expected === undefined) assert.equal(left, undefined);
    else assert.ok(left !== undefined && left <= expected && left > expected - 200, String(left));
    await server.close();
  });

  it.each([
    ["x-server-timeout", "-1"],
    ["x-server-timeout", "soon"],
    ["x-server-timeout", "1e3"],
    ["grpc-timeout", "5"],
    ["grpc-timeout", "123456789S"],
  ])("refuses %s: %s with 400", async (name, value) => {
    const server = await startOne(() => ({}));
    const { status, text } = await server.send("GET", "/v1/byId/i", { header: { [name]: value } });
    assert.equal(status, 400);
    assert.match(text, /INVALID_HEADER/);
    await server.close();
  });

  it("aborts the call's signal at its deadline, and answers 504", async () => {
    const server = await startOne(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    );
    const { status, json } = await server.send("GET", "/v1/byId/i", {
      header: { "x-server-timeout": "0.02" },
    });
    assert.equal(status, 504);
    assert.match(JSON.stringify(json), /DEADLINE_EXCEEDED/);
    await server.close();
  });

  it("holds the longest timeout of the router", async () => {
    const server = await startOne(() => ({}), { router: { maxTimeoutMs: 1000 } });
    const header = { "x-server-timeout": "2" };
    assert.equal((await server.send("GET", "/v1/byId/i", { header })).status, 400);
    await server.close();
  });

  it("aborts the call's signal when the client goes away", async () => {
    const begun = createDeferred();
    const aborted = createDeferred<unknown>();
    const server = await startOne(({ signal }) => {
      signal.addEventListener("abort", () => aborted.resolve(signal.reason), { once: true });
      begun.resolve();
      return new Promise<object>(() => undefined);
    });
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET /v1/byId/i HTTP/1.1\r\nHost: h\r\n\r\n");
    await begun.promise;
    socket.destroy();
    const reason = await aborted.promise;
    assert.ok(reason instanceof ConnectError);
    assert.equal(reason.code, Code.Canceled);
    await server.close();
  });

  it("does not abort the signal of a call before it is answered", async () => {
    let signal: AbortSignal | undefined;
    const server = await startOne(async (context) => {
      signal = context.signal;
      assert.ok(!context.signal.aborted);
      return { id: "x" };
    });
    assert.equal((await server.send("GET", "/v1/byId/i")).status, 200);
    // Connect aborts it at the end of the call, with no error for a reason.
    assert.ok(signal?.aborted);
    await server.close();
  });

  it("holds the limits of the router, and its own on bodies, with 413", async () => {
    const routes = (router: ReturnType<typeof createConnectRouter>) =>
      router.service(LibraryService, { updateAll: (book) => book });
    const small = await startRestServer(routes, { readMaxBytes: 100, isUniversal });
    const body = JSON.stringify({ name: "x".repeat(100) });
    const answer = await small.send("PUT", "/v1/byId/i", { body });
    assert.equal(answer.status, 413);
    assert.equal(answer.header.connection, "close");
    assert.match(answer.text, /"code": 413[\s\S]*"status": "INVALID_ARGUMENT"/);
    // Without a length before it.
    const header = { "transfer-encoding": "chunked" };
    assert.equal((await small.send("PUT", "/v1/byId/i", { body, header })).status, 413);
    await small.close();

    const limited = await startRestServer(routes, { router: { writeMaxBytes: 10 }, isUniversal });
    assert.equal((await limited.send("PUT", "/v1/byId/i", { body })).status, 429);
    await limited.close();
  });

  it("answers over HTTP/2 as well, with and without a body", async () => {
    const router = createConnectRouter().service(LibraryService, {
      getById: (book) => book,
      updateAll: (book) => book,
    });
    const server = createHttp2Server(createNodeListener(createRestHandler(router)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const session = http2Connect(`http://127.0.0.1:${port}`);
    const send = (headers: Record<string, string>, body?: string) =>
      new Promise<string>((resolve, reject) => {
        const stream = session.request(headers, { endStream: body === undefined });
        let text = "";
        stream.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        stream.once("error", reject).once("end", () => resolve(text));
        if (body !== undefined) stream.end(body);
      });
    const query = "prettyPrint=0";
    assert.equal(await send({ ":path": `/v1/byId/a%2Fb?${query}` }), '{"id":"a/b"}');
    const put = {
      ":method": "PUT",
      ":path": `/v1/byId/i?${query}`,
      "content-type": "application/json",
    };
    assert.equal(await send(put, '{"lent":true}'), '{"id":"i","lent":true}');
    const tooMuch = { ":method": "GET", ":path": `/v1/byId/i?${query}` };
    assert.match(await send(tooMuch, "x"), /UNEXPECTED_BODY/);
    session.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("compression", () => {
  const long = { id: "x".repeat(5000) };
  const start = (acceptCompression?: RestServerOptions["acceptCompression"]) =>
    startRestServer(
      (router) =>
        router.service(LibraryService, { getById: () => long, updateAll: (book) => book }),
      { acceptCompression, readMaxBytes: 10_000 },
    );

  it.each([
    ["gzip", "gzip"],
    ["gzip, deflate, br", "gzip"],
    ["br;q=1, gzip;q=0.5", "br"],
    ["*", "gzip"],
    ["gzip;q=0, *;q=0.1", "br"],
    ["identity", undefined],
    ["gzip;q=0", undefined],
    ["", undefined],
  ])("answers Accept-Encoding: %s with %s", async (accepted, expected) => {
    const server = await start([compressionGzip, compressionBrotli]);
    const header = { "accept-encoding": accepted };
    const answer = await server.send("GET", "/v1/byId/i?prettyPrint=0", { header });
    assert.equal(answer.header["content-encoding"], expected);
    assert.equal(answer.header.vary, "Accept-Encoding");
    const plain =
      expected === "gzip"
        ? gunzipSync(answer.bytes)
        : expected === "br"
          ? brotliDecompressSync(answer.bytes)
          : answer.bytes;
    assert.deepEqual(JSON.parse(plain.toString()), long);
    await server.close();
  });

  it("has gzip by the web's streams where nothing is given, and leaves small answers alone", async () => {
    const server = await start();
    const header = { "accept-encoding": "br, gzip" };
    const answer = await server.send("GET", "/v1/byId/i", { header });
    assert.equal(answer.header["content-encoding"], "gzip");
    assert.deepEqual(JSON.parse(gunzipSync(answer.bytes).toString()), long);
    const small = await server.send("PUT", "/v1/byId/i", { header });
    assert.equal(small.header["content-encoding"], undefined);
    await server.close();
  });

  it.each([
    ["by the web's streams", undefined],
    ["by Node's zlib", [compressionGzip, compressionBrotli]],
  ])("reads compressed bodies up to its limit, %s", async (_, compressions) => {
    const server = await start(compressions);
    const put = (body: Uint8Array, encoding: string) =>
      server.send("PUT", "/v1/byId/i?prettyPrint=0", {
        body,
        header: { "content-encoding": encoding },
      });
    const good = await put(gzipSync('{"lent":true}'), "GZIP");
    assert.equal(good.text, '{"id":"i","lent":true}');
    assert.equal((await put(new Uint8Array(), "gzip")).status, 200);

    // Some 16 MiB, from 16 KiB.
    const bomb = gzipSync(JSON.stringify({ name: "x".repeat(2 ** 24) }));
    assert.equal((await put(bomb.subarray(0, 9_000), "gzip")).status, 413);
    assert.equal((await put(bomb, "gzip")).status, 413);

    const broken = await put(Buffer.from('{"lent":true}'), "gzip");
    assert.equal(broken.status, 400);
    assert.match(broken.text, /BROKEN_ENCODING/);
    const unknown = await put(Buffer.from("{}"), "zstd");
    assert.equal(unknown.status, 415);
    const brotli = await put(brotliCompressSync("{}"), "br");
    assert.equal(brotli.status, compressions === undefined ? 415 : 200);
    assert.equal((await put(gzipSync("{}"), "gzip, gzip")).status, 415);
    assert.equal((await put(Buffer.from("{}"), "identity")).status, 200);
    await server.close();
  });
});

describe("createRestHandler", () => {
  const router = () => createConnectRouter().service(LibraryService, {});

  it.each([
    [{ readMaxBytes: 0 }, "readMaxBytes must be a whole number of at least 1, not 0"],
    [{ compressMinBytes: -1 }, "compressMinBytes must be at least 0, not -1"],
    [{ rules: [{ selector: "a.B.C" }] }, 'selects "a.B.C", which the router does not serve'],
    [{ prefixes: { "a.B": "/x" } }, 'a prefix is for "a.B", which the router does not serve'],
    [
      { rules: [{ selector: "library.v1.LibraryService.Watch" }] },
      'selects "library.v1.LibraryService.Watch", which is a stream',
    ],
    [{ rules: [rule("Hidden", "/v1/{nope}")] }, 'binds "nope", which is no singular scalar field'],
    [{ rules: [rule("Hidden", "/v1/{shelf}")] }, 'binds "shelf", which is no singular scalar'],
    [{ rules: [rule("Hidden", "/v1/{tags}")] }, 'binds "tags", which is no singular scalar'],
    [{ rules: [rule("Hidden", "/v1/{id")] }, 'has no "}"'],
    [{ rules: [{ ...rule("Hidden", "/v1/x"), body: "nope" }] }, 'has body "nope"'],
    [{ rules: [{ ...rule("Hidden", "/v1/x"), responseBody: "x" }] }, 'has response_body "x"'],
    [
      { rules: [rule("Hidden", "/v1/byId/{name}")] },
      "GET /v1/byId/{name} matches the same paths as GET /v1/byId/{id}",
    ],
    [
      {
        rules: [
          {
            ...rule("Hidden", "/v1/x"),
            additionalBindings: [{ ...rule("", "/v1/y"), additionalBindings: [rule("", "/v1/z")] }],
          },
        ],
      },
      "has additional bindings within additional bindings",
    ],
    [{ discovery: { name: "a b" } }, 'discovery.name must be letters and digits, not "a b"'],
  ])("refuses %j", (options, message) => {
    assert.throws(
      () => createRestHandler(router(), options),
      (error) => error instanceof RangeError && error.message.includes(message),
    );
  });

  it("refuses a router without the Connect protocol, which it calls by", () => {
    const grpcOnly = createConnectRouter({ connect: false }).service(LibraryService, {});
    assert.throws(() => createRestHandler(grpcOnly), /needs the Connect protocol/);
  });

  it("server 83: takes rules in code before annotations, the last of several, and none for an empty one", async () => {
    const server = await startRestServer(
      (routes) => routes.service(LibraryService, { hidden: () => ({}), getById: (book) => book }),
      {
        rules: [
          rule("Hidden", "/v1/first"),
          rule("Hidden", "/v1/last/{id}"),
          { selector: "library.v1.LibraryService.GetById" },
        ],
      },
    );
    assert.equal((await server.send("GET", "/v1/first")).status, 404);
    assert.equal((await server.send("GET", "/v1/last/x")).status, 200);
    assert.equal((await server.send("GET", "/v1/byId/x")).status, 405);
    await server.close();
  });

  it("server 83: puts a service's prefix before all of its paths", async () => {
    const server = await startRestServer(
      (routes) => routes.service(LibraryService, { getById: (book) => book }),
      { prefixes: { [LibraryService.typeName]: "/library" } },
    );
    assert.equal((await server.send("GET", "/library/v1/byId/x")).status, 200);
    assert.equal((await server.send("GET", "/library/v1/shelves/1/byId/x")).status, 200);
    assert.equal((await server.send("GET", "/v1/byId/x")).status, 404);
    await server.close();
  });
});

function rule(method: string, get: string) {
  const pattern = { case: "get" as const, value: get };
  return { selector: `library.v1.LibraryService.${method}`, pattern };
}
