import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { create, createRegistry, type MessageInitShape } from "@bufbuild/protobuf";
import { AnySchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import fc from "fast-check";
import { afterEach, describe, it } from "vitest";
import { ErrorInfoSchema, Operations } from "../../src/protos.js";
import {
  createRestTransport,
  operationsHttpRules,
  type RestTransportOptions,
} from "../../src/rest/index.js";
import { BookSchema, Genre, LibraryService } from "../gen/library/v1/library_pb.js";
import { rejectionOf } from "../support/rejection.js";
import { startLibraryServer } from "./support/library-server.js";

/** A server that sends scripted responses and keeps the requests. */
async function startScripted(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: { line: string; header: IncomingMessage["headers"]; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    asked.push({ line: `${request.method} ${request.url}`, header: request.headers, body });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    url: `http://127.0.0.1:${port}`,
    transport: (options: Partial<RestTransportOptions> = {}) =>
      createRestTransport({ baseUrl: `http://127.0.0.1:${port}/`, ...options }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const json =
  (value: unknown, status = 200) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };

describe("createRestTransport", () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  const scripted = async (...args: Parameters<typeof startScripted>) => {
    const server = await startScripted(...args);
    open.push(server);
    return server;
  };

  it.each<
    [keyof typeof LibraryService.method, MessageInitShape<typeof BookSchema>, string, string]
  >([
    ["getByName", { name: "books/a/../b" }, "no fit", ""],
    ["getByName", { name: "books/é x?" }, "GET /v1/books/%C3%A9%20x%3F", ""],
    ["getById", { id: "a/b" }, "GET /v1/byId/a%2Fb", ""],
    [
      "getById",
      { id: "i", pageCount: 2, tags: ["x", "y z"], shelf: { theme: "&" }, lent: true },
      "GET /v1/byId/i?shelf.theme=%26&tags=x&tags=y+z&pageCount=2&lent=true",
      "",
    ],
    ["updateShelf", { id: "i", shelf: { number: 3 } }, "PATCH /v1/byId/i", '{"number":3}'],
    ["updateAll", { id: "i", name: "n" }, "PUT /v1/byId/i", '{"name":"n"}'],
    ["setTags", { id: "i", tags: ["a"] }, "PUT /v1/byId/i/tags", '["a"]'],
    ["updateShelf", { id: "i", lent: true }, "PATCH /v1/byId/i?lent=true", ""],
  ])("calls %s with %j as %s %s", async (method, message, line, body) => {
    const server = await scripted(json({}));
    const client = createClient(LibraryService, server.transport());
    assert.ok(method !== "watch" && method !== "hidden" && method !== "scan");
    assert.ok(method !== "scanPage");
    if (line === "no fit") {
      const error = await rejectionOf(client[method](message));
      assert.equal(error.code, Code.InvalidArgument);
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "NO_MATCHING_PATH");
      return;
    }
    await client[method](message);
    assert.deepEqual(
      server.asked.map((asked) => [asked.line, asked.body]),
      [[line, body]],
    );
  });

  it.each(["operations/..", "operations/."])(
    "does not send %s, which a URL would lose",
    async (name) => {
      const server = await scripted(json({}));
      const error = await rejectionOf(
        createClient(Operations, server.transport()).getOperation({ name }),
      );
      assert.equal(error.code, Code.InvalidArgument);
      assert.equal(server.asked.length, 0);
    },
  );

  it("refuses a map in a query, a method without a rule, and a stream", async () => {
    const server = await scripted(json({}));
    const client = createClient(LibraryService, server.transport());
    const map = await rejectionOf(client.getById({ id: "i", labels: { a: "b" } }));
    assert.equal(map.findDetails(ErrorInfoSchema)[0]?.reason, "UNSENDABLE_FIELD");
    const hidden = await rejectionOf(client.hidden({}));
    assert.equal(hidden.code, Code.Unimplemented);
    const stream = client.watch({})[Symbol.asyncIterator]();
    assert.equal((await rejectionOf(stream.next())).code, Code.Unimplemented);
    const wait = await rejectionOf(
      createClient(Operations, server.transport()).waitOperation({ name: "operations/a" }),
    );
    assert.equal(wait.code, Code.Unimplemented);
    assert.equal(server.asked.length, 0);
  });

  it.each([
    ["", "GET /v1/operations", undefined],
    ["operations", "GET /v1/operations", undefined],
    ["p/1", "GET /v2/p/1/operations", operationsHttpRules({ version: "v2", parent: "p/*" })],
    [
      "p/1/operations",
      "GET /v2/p/1/operations",
      operationsHttpRules({ version: "v2", parent: "p/*" }),
    ],
  ])("lists %j as %s, however the rule captures the name", async (name, line, rules) => {
    const server = await scripted(json({}));
    await createClient(Operations, server.transport({ rules })).listOperations({ name });
    assert.deepEqual(
      server.asked.map((asked) => asked.line),
      [line],
    );
  });

  it("brings any book through a handler and back", async () => {
    const library = await startLibraryServer();
    open.push(library);
    const client = createClient(LibraryService, createRestTransport(library));
    await fc.assert(
      fc.asyncProperty(aBook, async (init) => {
        const book = create(BookSchema, init);
        assert.deepEqual(await client.updateAll(book), book);
        const { labels, extra, extras, notes, ...plain } = init;
        assert.deepEqual(await client.getById(plain), create(BookSchema, plain));
        assert.deepEqual((await client.getTags(plain)).tags, book.tags);
      }),
      { numRuns: 200 },
    );
    const scan = { contentType: "image/png", data: new Uint8Array([0, 255]) };
    const { data, contentType } = await client.scan(scan);
    assert.deepEqual({ data, contentType }, scan);
    const page = await client.scanPage({ number: 4, scan });
    assert.deepEqual(page.scan?.data, scan.data);
  });

  it("goes through interceptors, which may change headers and the message", async () => {
    const server = await scripted(json({ id: "answered" }));
    const seen: string[] = [];
    const interceptor: Interceptor = (next) => async (request) => {
      seen.push(`${request.requestMethod} ${new URL(request.url).pathname}`);
      request.header.set("x-own", "1");
      if (!request.stream && "id" in request.message) request.message.id = "j";
      return next(request);
    };
    const client = createClient(LibraryService, server.transport({ interceptors: [interceptor] }));
    const { id } = await client.getById(
      { id: "i" },
      { headers: { "x-call": "2" }, timeoutMs: 5000 },
    );
    assert.equal(id, "answered");
    assert.deepEqual(seen, ["GET /v1/byId/i"]);
    const [asked] = server.asked;
    assert.equal(asked?.line, "GET /v1/byId/j");
    assert.equal(asked?.header["x-own"], "1");
    assert.equal(asked?.header["x-call"], "2");
    assert.equal(asked?.header["x-server-timeout"], "5");
    assert.equal(asked?.header.accept, "application/json");
    assert.equal(asked?.header["content-type"], undefined);
  });

  it("ends with the code of its timeout and of its signal", async () => {
    const server = await scripted(() => undefined);
    const client = createClient(LibraryService, server.transport({ defaultTimeoutMs: 20 }));
    assert.equal((await rejectionOf(client.getById({ id: "i" }))).code, Code.DeadlineExceeded);
    const controller = new AbortController();
    const call = client.getById({ id: "i" }, { signal: controller.signal, timeoutMs: 10_000 });
    controller.abort();
    assert.equal((await rejectionOf(call)).code, Code.Canceled);
  });

  it("rejects with UNAVAILABLE if no server listens", async () => {
    const server = await startScripted(json({}));
    const client = createClient(LibraryService, server.transport());
    await server.close();
    const error = await rejectionOf(client.getById({ id: "i" }));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "UNREACHABLE");
  });

  it("follows no redirect, which could take credentials to another server", async () => {
    const target = await scripted(json({}));
    const server = await scripted((_, response) => {
      response.writeHead(307, { location: `${target.url}/v1/byId/i` }).end();
    });
    const client = createClient(LibraryService, server.transport());
    const error = await rejectionOf(
      client.getById({ id: "i" }, { headers: { authorization: "Bearer secret" } }),
    );
    assert.equal(error.code, Code.Unknown);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "REDIRECTED");
    assert.deepEqual(target.asked, []);
  });

  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "R", domain: "d" };
  it.each<[number, unknown, Code, string]>([
    [
      404,
      { error: { code: 404, message: "m", status: "NOT_FOUND", details: [info] } },
      Code.NotFound,
      "m",
    ],
    [
      409,
      {
        error: {
          code: 409,
          message: "m",
          errors: [{ reason: "x" }],
          status: "ABORTED",
          details: [info],
        },
      },
      Code.Aborted,
      "m",
    ],
    [
      400,
      [{ error: { code: 400, message: "m", status: "OUT_OF_RANGE", details: [info] } }],
      Code.OutOfRange,
      "m",
    ],
    [
      503,
      { error: { code: 503, message: "m", details: [{ "@type": 1 }, info] } },
      Code.Unavailable,
      "m",
    ],
    [403, { error: { status: "NOPE", message: 7, details: [info] } }, Code.PermissionDenied, ""],
  ])("reads the error of HTTP %i %j", async (status, body, code, message) => {
    const server = await scripted(json(body, status));
    const error = await rejectionOf(
      createClient(LibraryService, server.transport()).getById({ id: "i" }),
    );
    assert.equal(error.code, code);
    assert.equal(error.rawMessage, message);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "R");
    assert.match(error.metadata.get("content-type") ?? "", /json/);
  });

  it.each<[number, string, Code]>([
    [404, "<!DOCTYPE html>", Code.Unimplemented],
    [405, "", Code.Unimplemented],
    [401, "no", Code.Unauthenticated],
    [429, "{}", Code.ResourceExhausted],
    [502, "<html>", Code.Unavailable],
    [418, "null", Code.FailedPrecondition],
  ])("goes by the HTTP status %i where the body %j is no error", async (status, body, code) => {
    const server = await scripted((_, response) => response.writeHead(status).end(body));
    const error = await rejectionOf(
      createClient(LibraryService, server.transport()).getById({ id: "i" }),
    );
    assert.equal(error.code, code);
    assert.equal(error.rawMessage, `HTTP ${status}`);
  });

  it("takes a path that our own server has not for UNIMPLEMENTED, so that waits fall back to polling", async () => {
    const library = await startLibraryServer({
      rules: [{ selector: "library.v1.LibraryService.GetByName" }],
    });
    open.push(library);
    const client = createClient(LibraryService, createRestTransport(library));
    const error = await rejectionOf(client.getByName({ name: "books/b" }));
    assert.equal(error.code, Code.Unimplemented);
    assert.equal(error.metadata.get("content-type"), "application/json");
  });

  it.each([
    ["text/html", "<html>", "UNREADABLE_ANSWER"],
    ["application/json", "{", "UNREADABLE_ANSWER"],
    ["application/json", "[]", "UNREADABLE_ANSWER"],
    ["application/json", '{"pageCount":"x"}', "UNREADABLE_ANSWER"],
    ["application/json", `{"name":"${"x".repeat(1000)}"}`, "ANSWER_TOO_LARGE"],
  ])("refuses an answer of %s %s", async (type, body, reason) => {
    const server = await scripted((_, response) =>
      response.writeHead(200, { "content-type": type }).end(body),
    );
    const client = createClient(LibraryService, server.transport({ readMaxBytes: 500 }));
    const error = await rejectionOf(client.getById({ id: "i" }));
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, reason);
    assert.ok(!error.rawMessage.includes("JSON.parse"));
  });

  it("reads unknown members, empty answers and Anys of unknown types", async () => {
    const typeUrl = "type.googleapis.com/elsewhere.v1.Thing";
    const answers: unknown[] = [
      { id: "i", later: { x: 1 } },
      {
        extras: [
          { "@type": typeUrl, value: "CAE=" },
          { "@type": typeUrl, progress: 7 },
        ],
      },
    ];
    const server = await scripted((request, response) => json(answers.shift())(request, response));
    const client = createClient(LibraryService, server.transport());
    assert.deepEqual(await client.getById({ id: "i" }), create(BookSchema, { id: "i" }));
    const { extras } = await client.getById({ id: "i" });
    const [bytes, members] = extras;
    assert.deepEqual(bytes, create(AnySchema, { typeUrl, value: new Uint8Array([8, 1]) }));
    assert.equal(members?.typeUrl, `type.googleapis.com/${StructSchema.typeName}`);

    const silent = await scripted((_, response) => response.writeHead(200).end());
    const empty = createClient(LibraryService, silent.transport());
    assert.deepEqual(await empty.getById({ id: "i" }), create(BookSchema));
  });

  it("knows the types of a registry", async () => {
    const answer = { extra: { "@type": "type.googleapis.com/google.type.X", number: 3 } };
    const server = await scripted(json(answer));
    const registry = createRegistry(BookSchema);
    const client = createClient(LibraryService, server.transport({ registry }));
    const { extra } = await client.getById({ id: "i" });
    assert.equal(extra?.typeUrl, `type.googleapis.com/${StructSchema.typeName}`);
  });

  it("refuses limits out of range", () => {
    assert.throws(() => createRestTransport({ baseUrl: "http://h", readMaxBytes: 0 }), RangeError);
  });
});

const text = fc.string({ unit: "grapheme", maxLength: 8 });
const aBook = fc.record({
  id: text.filter((id) => id !== "" && id !== "." && id !== ".."),
  name: text,
  tags: fc.array(text, { maxLength: 3 }),
  pageCount: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  wordCount: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  lent: fc.boolean(),
  weight: fc.double(),
  cover: fc.uint8Array({ maxLength: 6 }),
  genre: fc.constantFrom(Genre.UNSPECIFIED, Genre.FICTION),
  signed: fc.option(fc.boolean(), { nil: undefined }),
  loanDuration: fc.record({
    seconds: fc.bigInt({ min: 0n, max: 1000n }),
    nanos: fc.nat(999_999_999),
  }),
  publishTime: fc.record({ seconds: fc.bigInt({ min: 0n, max: 10n ** 10n }), nanos: fc.nat(999) }),
  shelf: fc.record({ number: fc.integer({ min: 1, max: 9 }), theme: text }),
  labels: fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true }),
  notes: fc.dictionary(text, fc.boolean(), { maxKeys: 2, noNullPrototype: true }),
  extra: fc.constant({ typeUrl: "x/elsewhere.v1.Thing", value: new Uint8Array([1]) }),
  extras: fc.array(fc.constant({ typeUrl: "x/elsewhere.v1.Thing", value: new Uint8Array([2]) })),
});
