import assert from "node:assert/strict";
import { type ClientHttp2Session, constants } from "node:http2";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createServer, type Server } from "../../src/node/index.js";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/protos.js";
import { createRestHandler } from "../../src/rest/index.js";
import { type Book, LibraryService } from "../gen/library/v1/library_pb.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { openRawConnection } from "../support/raw-connection.js";
import { type RawRequest, sendRaw } from "./support/rest-server.js";

/** A server of one kind, and the calls that its interceptors and handlers received. */
interface Side {
  readonly server: Server;
  readonly port: number;
  readonly session: ClientHttp2Session;
  readonly seen: string[];
}

let direct: Side;
let universal: Side;

// New ones for each test, so that a test that fails does not fail the next.
beforeEach(async () => {
  [direct, universal] = await Promise.all([openSide(true), openSide(false)]);
});

afterEach(async () => {
  for (const { session, server } of [direct, universal]) {
    session.destroy();
    await server.close({ graceMs: 0 });
  }
});

describe("a call over REST", () => {
  it("is the same to its client, interceptors and handler without Connect's handler as by it", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const [ours, theirs] = await both((side) => send(side, request));
        assert.deepEqual(ours, theirs);
        assert.deepEqual(direct.seen.splice(0), universal.seen.splice(0));
      }),
      { numRuns: 600 },
    );
  });

  it.each(Object.keys(behaviours()))("is the same where its handler is to %s", async (name) => {
    for (const version of ["1", "2"] as const) {
      for (const mark of ["outer", "inner", "nobody"]) {
        const header = { "x-mark": mark, "x-server-timeout": "60" };
        const path = `/v1/byId/7?name=${encodeURIComponent(name)}`;
        const request = { version, method: "GET", path, header, body: undefined };
        const [ours, theirs] = await both((side) => send(side, request));
        assert.deepEqual(ours, theirs);
        const seen = universal.seen.splice(0);
        assert.ok(seen.includes(`handler ${name}`));
        assert.deepEqual(direct.seen.splice(0), seen);
      }
    }
  });

  it("tells its handler the same where its deadline passes", async () => {
    for (const version of ["1", "2"] as const) {
      const header = { "x-server-timeout": "0.02" };
      const request = { version, method: "GET", path: waiting, header, body: undefined };
      const [ours, theirs] = await both((side) => send(side, request));
      assert.deepEqual(ours, theirs);
      assert.equal(ours.status, 504);
      const end = "aborted ConnectError [deadline_exceeded] the operation timed out";
      assert.equal(universal.seen.at(-1), end);
      assert.deepEqual(direct.seen.splice(0), universal.seen.splice(0));
    }
  });

  it.each([
    ["closes its connection", "aborted ConnectError [canceled] the client went away"],
    [
      "resets its stream",
      "aborted ConnectError [canceled] http/2 stream closed with error code CANCEL (0x8)",
    ],
  ])("tells its handler the same where its client %s", async (how, end) => {
    await both(async (side) => {
      const entered = untilSeen(side, "handler");
      if (how === "resets its stream") {
        const stream = side.session.request({ ":path": waiting, ":authority": "library.example" });
        stream.on("error", () => undefined);
        await entered;
        stream.close(constants.NGHTTP2_CANCEL);
      } else {
        const connection = await openRawConnection(side.port);
        await connection.send(`GET ${waiting} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        await entered;
        connection.socket.destroy();
      }
      await untilSeen(side, "aborted");
    });
    assert.equal(universal.seen.at(-1), end);
    assert.deepEqual(direct.seen.splice(0), universal.seen.splice(0));
  });

  it("tells its handler the same where the server shuts down", async () => {
    const sides = await Promise.all([openSide(true), openSide(false)]);
    const answers = await Promise.all(
      sides.map(async (side) => {
        const request: AnyRequest = { version: "1", method: "GET", path: waiting, body: undefined };
        const answer = send(side, request);
        await untilSeen(side, "handler");
        await side.server.close({ graceMs: 1 });
        side.session.destroy();
        return answer;
      }),
    );
    assert.deepEqual(answers[0], answers[1]);
    assert.equal(answers[0]?.status, 503);
    const [ours, theirs] = sides.map(({ seen }) => seen);
    assert.equal(ours?.at(-1), "aborted ConnectError [unavailable] the server is shutting down");
    assert.deepEqual(ours, theirs);
  });

  it("goes past Connect's handler, unless the server's options say otherwise", async () => {
    const path = "/v1/byId/7?name=look+for+what+Connect+keeps";
    const [ours, theirs] = await both((side) =>
      send(side, { version: "1", method: "GET", path, body: undefined }),
    );
    assert.match(Buffer.from(ours.body, "hex").toString(), /"id": "nothing"/);
    assert.match(Buffer.from(theirs.body, "hex").toString(), /"id": "its own"/);
    assert.deepEqual(direct.seen.splice(0), universal.seen.splice(0));
  });
});

const waiting = "/v1/byId/7?name=wait+for+the+signal";

/** Resolves when the handlers have noted something that begins so. */
async function untilSeen({ seen }: Side, beginning: string): Promise<void> {
  while (!seen.some((text) => text.startsWith(beginning))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function both<T>(act: (side: Side) => Promise<T>): Promise<[T, T]> {
  return Promise.all([act(direct), act(universal)]);
}

interface AnyRequest extends RawRequest {
  readonly version: "1" | "2";
  readonly method: string;
  readonly path: string;
}

/** The parts of a response that a client sees, without its date. */
async function send(
  { port, session }: Side,
  { version, method, path, header = {}, body }: AnyRequest,
): Promise<{ status: number; headers: unknown; body: string }> {
  if (version === "1") {
    const answer = await sendRaw(port, method, path, {
      header: { host: "localhost:99", ...header },
      body,
    });
    const { date: _, ...headers } = answer.header;
    return { status: answer.status, headers, body: answer.bytes.toString("hex") };
  }
  const answer = await rawCall(session, {
    headers: {
      ":method": method,
      ":path": path,
      ":authority": "library.example:99",
      ...header,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    chunks: body === undefined ? [] : [Buffer.from(body)],
  });
  const headers = Object.fromEntries(answer.headers);
  return { status: Number(headers[":status"]), headers, body: answer.data };
}

type Behaviour = (book: Book, context: HandlerContext) => object | Promise<object>;

/** The handler's reaction, by the request's `name`. */
function behaviours(): Record<string, Behaviour> {
  return {
    answer: (book) => book,
    "answer later": async (book) => {
      await Promise.resolve();
      return { ...book };
    },
    "answer much": ({ pageCount }) => ({ id: "x".repeat(Math.abs(pageCount) % 9000) }),
    "answer what no message can hold": () => ({ pageCount: 1.5 }),
    "answer half a character": () => ({ id: "\ud800", labels: { a: "\udc00" } }),
    "answer what JSON cannot hold": () => ({
      publishTime: { $typeName: "google.protobuf.Timestamp", seconds: 300_000_000_000n, nanos: 0 },
    }),
    "set headers": (_, { responseHeader, responseTrailer }) => {
      responseHeader.set("x-one", "1");
      responseHeader.append("X-Two", "a");
      responseHeader.append("x-two", "b");
      responseHeader.append("vary", "x-mark");
      responseHeader.append("set-cookie", "a=1");
      responseHeader.append("set-cookie", "b=2");
      responseHeader.set("content-type", "text/html");
      responseHeader.set("x-latin", "\u00e9");
      responseTrailer.set("x-three", "3");
      return { id: "\u00e9" };
    },
    "tell the context": (_, context) => ({ id: contextText(context) }),
    "tell a copy of the context": (_, context) => ({ id: contextText({ ...context }) }),
    "change the request's headers": (_, { requestHeader }) => {
      requestHeader.set("authorization", "changed");
      return { id: requestHeader.get("authorization") ?? "" };
    },
    fail: ({ pageCount }, { responseHeader, responseTrailer }) => {
      responseHeader.set("x-before", "1");
      responseTrailer.set("x-after", "2");
      throw new ConnectError("Papierstau – 紙", codes[Math.abs(pageCount) % codes.length], {
        "x-reason": "jam",
        "content-length": "5",
      });
    },
    "fail with details": () => {
      const value = { reason: "JAM", domain: "library.example", metadata: { tray: "2" } };
      throw new ConnectError("jam", Code.Unavailable, undefined, [
        { desc: ErrorInfoSchema, value },
        { desc: RetryInfoSchema, value: { retryDelay: { seconds: 3n, nanos: 1 } } },
      ]);
    },
    "fail in our own name": () => {
      const value = { reason: "BODY_TOO_LARGE", domain: "connect-longrunning" };
      throw new ConnectError("", Code.InvalidArgument, undefined, [
        { desc: ErrorInfoSchema, value },
      ]);
    },
    "fail with a cause": () => {
      throw new ConnectError("db", Code.Internal, undefined, undefined, new Error("secret"));
    },
    "fail later": async () => {
      await Promise.resolve();
      throw new ConnectError("", Code.NotFound);
    },
    "throw an Error": () => {
      throw new Error("the secret of the database");
    },
    "throw a string": () => Promise.reject("secret"),
    "throw nothing": () => Promise.reject(undefined),
  };
}

const codes = Object.values(Code).filter((code) => typeof code === "number");

const tenant = createContextKey("nobody");

async function openSide(isDirect: boolean): Promise<Side> {
  const seen: string[] = [];
  const known = behaviours();
  const handle = async (book: Book, context: HandlerContext) => {
    seen.push(`handler ${book.name}`, JSON.stringify(book.labels), `${book.weight}`);
    if (book.name === "wait for the signal") return waitForSignal(context, seen);
    // Connect's own context has more than it declares.
    if (book.name === "look for what Connect keeps") {
      return { id: "abort" in context ? "its own" : "nothing" };
    }
    const { signal } = context;
    try {
      return (await known[book.name]?.(book, context)) ?? book;
    } finally {
      seen.push(`has ended before: ${signal.aborted}`);
      // Noted by the next call at the latest, which both sides have in the same order.
      signal.addEventListener("abort", () => seen.push(`ended ${reasonText(signal)}`));
    }
  };
  const watch =
    (who: string): Interceptor =>
    (next) =>
    async (request) => {
      seen.push(`${who} ${request.method.name} ${request.url} ${request.requestMethod}`);
      seen.push(JSON.stringify([...request.header]), request.contextValues.get(tenant));
      if (request.header.get("x-mark") === who) request.header.set("authorization", who);
      if (request.header.get("x-stop") === who) throw new ConnectError(who, Code.Aborted);
      const response = await next(request);
      response.header.set("x-passed", who);
      response.trailer.set("x-trailed", who);
      return response;
    };
  const server = createServer({
    fastPath: isDirect,
    allowedHosts: "*",
    readMaxBytes: 3000,
    writeMaxBytes: 5000,
    maxTimeoutMs: 600_000,
    interceptors: [watch("outer"), watch("inner")],
    contextValues: ({ headers }) =>
      createContextValues().set(tenant, String(headers["x-tenant"] ?? "none")),
    cors: { origins: ["https://a.example"] },
    handlers: (router) => [
      createRestHandler(router, { readMaxBytes: 100_000, compressMinBytes: 500, jsonp: true }),
    ],
    routes: (router) => {
      router.rpc(LibraryService.method.getById, handle);
      router.rpc(LibraryService.method.updateAll, handle);
      // Their own options, and no interceptors among them: the shortest way.
      router.rpc(LibraryService.method.updateShelf, handle, { interceptors: [] });
      router.rpc(LibraryService.method.purge, handle, { interceptors: [], writeMaxBytes: 50 });
    },
    log: () => undefined,
  });
  const { port, url } = await server.listen();
  return { server, port, session: await openSession(url), seen };
}

function waitForSignal({ signal }: HandlerContext, seen: string[]): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      seen.push(`aborted ${reasonText(signal)}`);
      reject(signal.reason);
    });
  });
}

function reasonText({ reason }: AbortSignal): string {
  return reason instanceof Error ? `${reason.name} ${reason.message}` : String(reason);
}

function contextText(context: HandlerContext): string {
  const { method, service, protocolName, requestMethod, url, values, signal } = context;
  const leftMs = context.timeoutMs();
  return JSON.stringify({
    method: method.name,
    service: service.typeName,
    protocolName,
    requestMethod,
    url,
    tenant: values.get(tenant),
    isAborted: signal.aborted,
    hasTimeLeft: leftMs === undefined ? undefined : leftMs > 0,
    requestHeader: [...context.requestHeader],
    responseHeader: [...context.responseHeader],
    responseTrailer: [...context.responseTrailer],
  });
}

const texts = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.constantFrom("x".repeat(2900), "é".repeat(1500), "\ud800", "a\udc00b"),
);

const headers = fc.record(
  {
    "x-server-timeout": fc.constantFrom("1", "0.25", "1000", "0", "soon"),
    "grpc-timeout": fc.constantFrom("1H", "5M", "9S", "0n", "1"),
    "connect-timeout-ms": fc.constantFrom("5", "x"),
    "accept-encoding": fc.constantFrom("gzip", "br, gzip;q=0.5", "*", "identity"),
    "x-mark": fc.constantFrom("outer", "inner"),
    "x-stop": fc.constantFrom("outer", "inner"),
    "x-tenant": fc.constantFrom("a", "b"),
    "x-goog-fieldmask": fc.constantFrom("id", "id,labels", "nothing", "("),
    "content-encoding": fc.constantFrom("identity", "gzip", "snappy"),
    authorization: fc.constantFrom("Bearer own", ""),
    origin: fc.constantFrom("https://a.example", "https://b.example"),
    cookie: fc.constantFrom("a=1; b=2"),
  },
  { requiredKeys: [] },
);

const systemParameters = fc.record(
  {
    "$.xgafv": fc.constantFrom("1", "2", "3"),
    alt: fc.constantFrom("json", "proto", "json;enum-encoding=int", "media"),
    prettyPrint: fc.constantFrom("0", "true"),
    access_token: fc.constantFrom("t", "é"),
    key: fc.constantFrom("k"),
    fields: fc.constantFrom("id", "tags"),
    callback: fc.constantFrom("f"),
  },
  { requiredKeys: [] },
);

const books = fc.record(
  {
    name: fc.constantFrom(...Object.keys(behaviours())),
    pageCount: fc.integer({ min: -5, max: 9000 }),
    weight: fc.double({ noDefaultInfinity: true, noNaN: true }),
    lent: fc.boolean(),
    tags: fc.array(texts, { maxLength: 2 }),
  },
  { requiredKeys: ["name"] },
);

const requests: fc.Arbitrary<AnyRequest> = fc
  .record({
    version: fc.constantFrom<"1" | "2">("1", "2"),
    target: fc.constantFrom(
      ...["GET /v1/byId/7", "HEAD /v1/byId/a%2Fb", "GET /v1/shelves/3/byId/%C3%A9"],
      ...["PUT /v1/byId/7", "PATCH /v1/byId/7", "PURGE /v1/books/a/b:purge"],
      ...["DELETE /v1/byId/7", "GET /v1/no%zz"],
    ),
    book: books,
    labels: fc.dictionary(texts, texts, { maxKeys: 2 }),
    header: headers,
    system: fc.option(systemParameters, { freq: 2 }),
  })
  .map(({ version, target, book, labels, header, system }) => {
    const [method = "", path = ""] = target.split(" ");
    const query = new URLSearchParams(Object.entries(system ?? {}));
    const isInBody = method === "PUT";
    if (!isInBody) {
      for (const [name, value] of Object.entries(book)) {
        for (const one of [value].flat()) query.append(name, String(one));
      }
    }
    const body = isInBody
      ? JSON.stringify({ ...book, labels })
      : method === "PATCH"
        ? '{"number":"5"}'
        : undefined;
    return { version, method, path: `${path}?${query}`, header, body };
  });
