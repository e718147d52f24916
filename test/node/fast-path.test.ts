import assert from "node:assert/strict";
import { type ClientHttp2Session, connect } from "node:http2";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, describe, it } from "vitest";
import {
  createGrpcTransport,
  createServer,
  type RequestRecord,
  type Server,
  type ServerEvent,
  type ServerOptions,
} from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createDeferred } from "../support/deferred.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { rejectionOf } from "../support/rejection.js";

let server: Server | undefined;
let sessionManager: Http2SessionManager | undefined;
let session: ClientHttp2Session | undefined;

afterEach(async () => {
  session?.destroy();
  sessionManager?.abort();
  await server?.close({ graceMs: 0 });
});

type GetOperation = (request: { name: string }, context: HandlerContext) => Promise<object>;

/** Serve GetOperation, and connect a client. */
async function serve(getOperation: GetOperation, options: Partial<ServerOptions> = {}) {
  server = createServer({
    routes: (router) => router.service(Operations, { getOperation }),
    ...options,
  });
  const { url } = await server.listen();
  sessionManager = new Http2SessionManager(url);
  return {
    url,
    client: createClient(Operations, createGrpcTransport({ baseUrl: url, sessionManager })),
  };
}

const callHeaders = {
  ":method": "POST",
  ":path": "/google.longrunning.Operations/GetOperation",
  "content-type": "application/grpc",
  te: "trailers",
};
const empty = envelopeBytes(new Uint8Array());

describe("the context of a call", () => {
  it("has a signal that is aborted when the call has ended well", async () => {
    let context: HandlerContext | undefined;
    const during: boolean[] = [];
    const { client } = await serve(async (_, given) => {
      context = given;
      during.push(given.signal.aborted);
      return {};
    });
    await client.getOperation({});
    assert.deepEqual(during, [false]);
    assert.equal(context?.signal.aborted, true);
    assert.equal(context.signal.reason.name, "AbortError");
  });

  it("has a signal aborted with the error, even if first read after the call", async () => {
    let context: HandlerContext | undefined;
    const error = new ConnectError("no paper", Code.FailedPrecondition);
    const { client } = await serve(async (_, given) => {
      context = given;
      throw error;
    });
    await rejectionOf(client.getOperation({}));
    assert.equal(context?.signal.reason, error);
  });

  it("has the same parts in a copy", async () => {
    const same = createDeferred<boolean[]>();
    const { client } = await serve(async (_, context) => {
      const copy = { ...context };
      same.resolve([
        copy.signal === context.signal,
        copy.requestHeader === context.requestHeader,
        copy.responseHeader === context.responseHeader,
        copy.responseTrailer === context.responseTrailer,
        copy.values === context.values,
        copy.timeoutMs() === undefined,
        copy.url.endsWith("/google.longrunning.Operations/GetOperation"),
      ]);
      return {};
    });
    await client.getOperation({});
    assert.deepEqual(await same.promise, Array(7).fill(true));
  });

  it("is not aborted by a deadline beyond what a timer holds", async () => {
    const { client } = await serve(async (_, { signal, timeoutMs }) => {
      await new Promise((resolve) => setImmediate(resolve));
      return { name: `${signal.aborted} ${(timeoutMs() ?? 0) > 2 ** 31}` };
    });
    const { name } = await client.getOperation({}, { timeoutMs: 2 ** 32 });
    assert.equal(name, "false true");
  });

  it("has the values that the options give for the request", async () => {
    const key = createContextKey("");
    const { client } = await serve(async (_, { values }) => ({ name: values.get(key) }), {
      contextValues: ({ headers, method, url }) =>
        createContextValues().set(key, `${method} ${url} ${headers["x-own"]}`),
    });
    const { name } = await client.getOperation({}, { headers: { "x-own": "1" } });
    assert.equal(name, "POST /google.longrunning.Operations/GetOperation 1");
  });
});

describe("a call", () => {
  it("that is under way is aborted with UNAVAILABLE when the server closes", async () => {
    const entered = createDeferred();
    const { client } = await serve((_, { signal }) => {
      entered.resolve();
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    });
    const call = client.getOperation({});
    await entered.promise;
    const closed = server?.close({ graceMs: 0 });
    const error = await rejectionOf(call);
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.Unavailable, "the server is shutting down"],
    );
    await closed;
  });

  it("whose values cannot be made is INTERNAL for the client, and the log hook has the cause", async () => {
    const events: ServerEvent[] = [];
    const cause = new Error("the secret of the database");
    const { client } = await serve(async () => ({}), {
      log: (event) => events.push(event),
      contextValues() {
        throw cause;
      },
    });
    const error = await rejectionOf(client.getOperation({}));
    assert.deepEqual([error.code, error.rawMessage], [Code.Internal, "internal error"]);
    const path = callHeaders[":path"];
    assert.deepEqual(events, [{ kind: "handler-failed", path, cause }]);
  });

  it.each([
    ["a message with half a surrogate pair", new ConnectError("no page \ud83d", Code.NotFound)],
    [
      "a detail that is none of its type",
      new ConnectError("no page", Code.NotFound, undefined, [
        { desc: DurationSchema, value: { nanos: 0.5 } },
      ]),
    ],
  ])("that fails with %s is INTERNAL, and ends", async (_, error) => {
    const events: ServerEvent[] = [];
    const { client } = await serve(() => Promise.reject(error), {
      log: (event) => events.push(event),
    });
    const seen = await rejectionOf(client.getOperation({}, { timeoutMs: 2000 }));
    assert.equal(ConnectError.from(seen).code, Code.Internal);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["handler-failed"],
    );
  });

  it("whose context values fail with an error that cannot be written is INTERNAL, and ends", async () => {
    const events: ServerEvent[] = [];
    const { client } = await serve(async () => ({}), {
      contextValues() {
        throw new ConnectError("no page \ud83d", Code.NotFound);
      },
      log: (event) => events.push(event),
    });
    const seen = await rejectionOf(client.getOperation({}, { timeoutMs: 2000 }));
    assert.equal(seen.code, Code.Internal);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["handler-failed"],
    );
  });

  it("sends no headers that HTTP/2 does not have", async () => {
    const { url } = await serve(async (_, { responseHeader, responseTrailer }) => {
      responseHeader.set("connection", "close");
      responseTrailer.set("keep-alive", "1");
      responseTrailer.set("x-own", "1");
      return {};
    });
    session = await openSession(url);
    const { headers, trailers } = await rawCall(session, { headers: callHeaders, chunks: [empty] });
    assert.equal(Object.fromEntries(headers).connection, undefined);
    assert.deepEqual(trailers, [
      ["grpc-status", "0"],
      ["x-own", "1"],
    ]);
  });

  it("calls onRequest when it ends, completed or aborted", async () => {
    const records: RequestRecord[] = [];
    const heard = createDeferred();
    const entered = createDeferred();
    const { url } = await serve(
      async ({ name }) => {
        if (name !== "") {
          entered.resolve();
          await heard.promise;
        }
        return {};
      },
      {
        onRequest(record) {
          if (records.push(record) === 2) heard.resolve();
        },
      },
    );
    session = await openSession(url);
    await rawCall(session, { headers: callHeaders, chunks: [empty] });
    const stream = session.request(callHeaders);
    stream.end(envelopeBytes(Buffer.of(0x0a, 1, 0x61)));
    await entered.promise;
    stream.close();
    await heard.promise;
    assert.deepEqual(
      records.map(({ method, path, httpVersion, status, aborted, remoteAddress }) => [
        method,
        path,
        httpVersion,
        status,
        aborted,
        remoteAddress,
      ]),
      [
        ["POST", callHeaders[":path"], "2.0", 200, false, "127.0.0.1"],
        ["POST", callHeaders[":path"], "2.0", 200, true, "127.0.0.1"],
      ],
    );
  });

  it("is cut off when the client does not take the answer", async () => {
    const { url } = await serve(async () => ({ name: "x".repeat(100_000) }), {
      limits: { sendTimeoutMs: 100 },
    });
    session = connect(url, { settings: { initialWindowSize: 0 } });
    const { rstCode } = await rawCall(session, { headers: callHeaders, chunks: [empty] });
    assert.equal(rstCode, 8);
  });

  it("varies by the origin where CORS names some", async () => {
    const { url } = await serve(async () => ({}), { cors: { origins: ["https://a.example"] } });
    session = await openSession(url);
    const request = { headers: callHeaders, chunks: [empty] };
    const { headers } = await rawCall(session, request);
    assert.equal(Object.fromEntries(headers).vary, "origin");
  });
});

describe("fastPath", () => {
  it("is on unless it is switched off, which shows in the context alone", async () => {
    const kinds: string[] = [];
    for (const fastPath of [undefined, true, false]) {
      const { client } = await serve(
        async (_, context) => {
          kinds.push(context.constructor.name);
          return {};
        },
        { fastPath },
      );
      await client.getOperation({});
      sessionManager?.abort();
      await server?.close({ graceMs: 0 });
    }
    assert.deepEqual(kinds, ["DirectContext", "DirectContext", "Object"]);
  });
});
