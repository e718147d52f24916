import assert from "node:assert/strict";
import { type ClientHttp2Session, constants } from "node:http2";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createServer, type Server } from "../../src/node/index.js";
import { ErrorInfoSchema, Operations } from "../../src/protos.js";
import {
  type PrintRequest,
  PrintRequestSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { envelopeBytes, inPieces } from "../support/envelope-bytes.js";
import { openSession, type RawRequest, rawCall } from "../support/raw-call.js";

const readMaxBytes = 4000;
const writeMaxBytes = 5000;
const maxTimeoutMs = 600_000;

/** A server of one kind, and the record of its handlers. */
interface Side {
  readonly server: Server;
  readonly url: string;
  readonly seen: string[];
}

let fast: Side;
let connects: Side;
let sessions: readonly [ClientHttp2Session, ClientHttp2Session];

// New ones for each test: the record of a test that fails must not fail the next.
beforeEach(async () => {
  [fast, connects] = await Promise.all([openSide(true), openSide(false)]);
  sessions = await Promise.all([openSession(fast.url), openSession(connects.url)]);
});

afterEach(async () => {
  for (const session of sessions) session.destroy();
  await Promise.all([fast, connects].map(({ server }) => server.close({ graceMs: 0 })));
});

describe("a unary gRPC call", () => {
  it("is answered by the fast path as by Connect's handlers, byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const [ours, theirs] = await Promise.all(sessions.map((to) => rawCall(to, request)));
        // Whether an error comes before the client's reset is a matter of luck.
        if (request.ending !== "reset") assert.deepEqual(ours, theirs);
        assert.deepEqual(await seenBy(fast, sessions[0]), await seenBy(connects, sessions[1]));
      }),
      { numRuns: 300 },
    );
  });

  it("is answered the same on a connection that the client has said GOAWAY on", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const [ours, theirs] = await Promise.all(
          [fast, connects].map(async ({ url }) => {
            const session = await openSession(url);
            const answer = rawCall(session, request);
            session.close();
            return answer;
          }),
        );
        if (request.ending !== "reset") assert.deepEqual(ours, theirs);
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    constants.NGHTTP2_NO_ERROR,
    constants.NGHTTP2_CANCEL,
    constants.NGHTTP2_INTERNAL_ERROR,
    constants.NGHTTP2_REFUSED_STREAM,
    constants.NGHTTP2_ENHANCE_YOUR_CALM,
    constants.NGHTTP2_STREAM_CLOSED,
  ])("that is reset with code %i while it runs tells its handler the same", async (code) => {
    for (const [index, side] of [fast, connects].entries()) {
      const to = sessions[index];
      assert.ok(to);
      const entered = untilSeen(side, "entered");
      const stream = to.request(callHeaders);
      stream.on("error", () => undefined);
      stream.end(envelopeBytes(binary({ parent: "wait for the signal" })));
      await entered;
      const left = untilSeen(side, "aborted");
      stream.close(code);
      await left;
    }
    assert.deepEqual(fast.seen.splice(0), connects.seen.splice(0));
  });

  it("whose deadline passes while it runs tells its handler the same", async () => {
    const request: RawRequest = {
      headers: { ...callHeaders, "grpc-timeout": "20m" },
      chunks: [envelopeBytes(binary({ parent: "wait for the signal" }))],
    };
    const [ours, theirs] = await Promise.all(sessions.map((to) => rawCall(to, request)));
    assert.deepEqual(ours, theirs);
    assert.equal(Object.fromEntries(ours?.trailers ?? [])["grpc-status"], "4");
    assert.deepEqual(fast.seen.splice(0), connects.seen.splice(0));
  });
});

const callHeaders = {
  ":method": "POST",
  ":path": `/${PrintService.typeName}/Print`,
  ":authority": "printing.example:99",
  "content-type": "application/grpc",
  te: "trailers",
};

/** The handler's behaviour, by the request's `parent`; `pages` is the amount. */
const behaviours: Record<
  string,
  (request: PrintRequest, context: HandlerContext) => { name: string } | Promise<{ name: string }>
> = {
  answer: ({ requestId }) => ({ name: requestId }),
  "answer much": ({ pages }) => ({ name: "x".repeat(pages) }),
  "set headers": (_, { responseHeader, responseTrailer }) => {
    responseHeader.set("x-one", "1");
    responseHeader.append("X-Two", "a");
    responseHeader.append("x-two", "b");
    responseHeader.append("set-cookie", "a=1");
    responseHeader.append("set-cookie", "b=2");
    responseTrailer.set("x-three-bin", "AAE");
    return { name: "headers" };
  },
  "tell the context": (_, context) => ({ name: contextText(context) }),
  "tell a copy of the context": (_, context) => ({ name: contextText({ ...context }) }),
  fail: ({ pages }, { responseHeader }) => {
    responseHeader.set("x-before", "1");
    throw new ConnectError("Papierstau – 紙", codes[pages % codes.length] ?? Code.Unknown, {
      "x-reason": "jam",
      "grpc-status": "99",
    });
  },
  "fail with details": () => {
    const value = { reason: "JAM", domain: "printing.example", metadata: { tray: "2" } };
    throw new ConnectError("jam", Code.Aborted, undefined, [{ desc: ErrorInfoSchema, value }]);
  },
  "fail later": async () => {
    await Promise.resolve();
    throw new ConnectError("", Code.NotFound);
  },
  "throw an Error": () => {
    throw new Error("the secret of the database");
  },
  "throw a string": () => Promise.reject("secret"),
};

const codes = [Code.Canceled, Code.Internal, Code.Unauthenticated, Code.DeadlineExceeded];

async function openSide(fastPath: boolean): Promise<Side> {
  const seen: string[] = [];
  const server = createServer({
    fastPath,
    allowedHosts: "*",
    readMaxBytes,
    writeMaxBytes,
    maxTimeoutMs,
    compressMinBytes: 100,
    interceptors: [
      (next) => async (request) => {
        seen.push(`outer ${request.method.name} ${request.url}`);
        const isMarked = request.header.has("x-mark");
        const response = await next(request);
        if (isMarked) response.header.set("x-marked", "outer");
        return response;
      },
    ],
    routes: (router) => {
      router.service(Operations, {});
      const print = async (request: PrintRequest, context: HandlerContext) => {
        seen.push(`handler ${request.parent}`);
        if (request.parent === "wait for the signal") return waitForSignal(context, seen);
        const behaviour = behaviours[request.parent] ?? behaviours.answer;
        return behaviour?.(request, context) ?? {};
      };
      router.rpc(PrintService.method.print, print);
      // Its own options, and among them no interceptors: the shortest way through the fast path.
      router.rpc(PrintService.method.clean, () => ({ name: "cleaned" }), { interceptors: [] });
    },
  });
  const { url } = await server.listen();
  return { server, url, seen };
}

function waitForSignal({ signal }: HandlerContext, seen: string[]): Promise<never> {
  seen.push("entered");
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      const { reason } = signal;
      seen.push(`aborted ${reason instanceof ConnectError ? reason.message : reason.name}`);
      reject(reason);
    });
  });
}

/** Resolves when the handlers have noted something that begins so. */
async function untilSeen({ seen }: Side, beginning: string): Promise<void> {
  while (!seen.some((text) => text.startsWith(beginning))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
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
    hasValues: typeof values.get === "function",
    isAborted: signal.aborted,
    hasTimeLeft: leftMs === undefined ? undefined : leftMs > 0,
    requestHeader: [...context.requestHeader],
    responseHeader: [...context.responseHeader],
    responseTrailer: [...context.responseTrailer],
  });
}

/** The handlers' notes, once a call that came after all others is answered. */
async function seenBy({ seen }: Side, session: ClientHttp2Session): Promise<string[]> {
  const { trailers } = await rawCall(session, {
    headers: { ...callHeaders, ":path": `/${PrintService.typeName}/Clean` },
    chunks: [envelopeBytes(new Uint8Array())],
  });
  assert.deepEqual(trailers, [["grpc-status", "0"]]);
  return seen.splice(0);
}

function binary(
  request: Partial<Pick<PrintRequest, "parent" | "pages" | "requestId">>,
): Uint8Array {
  return toBinary(PrintRequestSchema, create(PrintRequestSchema, request));
}

const messages = fc.record({
  parent: fc.constantFrom(...Object.keys(behaviours)),
  pages: fc.integer({ min: 0, max: 6000 }),
  requestId: fc.string({ unit: "grapheme", maxLength: 60 }),
});

/** One fault at most: of several, either side may tell another one first. */
const faults = fc.option(
  fc.constantFrom(
    "nothing at all",
    "a message more",
    "too long",
    "cut short",
    "a head alone",
    "garbage",
    "a flag without compression",
    "broken compression",
    "other flags",
  ),
  { freq: 3 },
);

const contentTypes = fc.constantFrom(
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc+json; charset=utf-8",
  "APPLICATION/GRPC",
);

const timeouts = fc.option(
  fc.constantFrom("1H", "5M", "100S", "99999999u", "0n", "1", "x", "-1m", "123456789m", "11M"),
  { freq: 2 },
);

const requests: fc.Arbitrary<RawRequest> = fc
  .record({
    path: fc.constantFrom("Print", "Print", "Print", "Clean"),
    message: messages,
    fault: faults,
    contentType: contentTypes,
    timeout: timeouts,
    encoding: fc.option(fc.constantFrom("gzip", "br", "identity", "snappy"), { freq: 2 }),
    accept: fc.option(fc.constantFrom("gzip", "br,gzip", "identity, deflate, gzip", "snappy", "")),
    isCompressed: fc.boolean(),
    isMarked: fc.boolean(),
    own: fc.dictionary(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,20}$/), {
      maxKeys: 3,
    }),
    sizes: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 4 }),
    cutAt: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 5 }),
  })
  .map(({ path, message, fault, contentType, timeout, encoding, accept, ...rest }) => {
    const isJson = contentType.includes("json");
    const isPrint = path === "Print";
    const text = toJsonString(PrintRequestSchema, create(PrintRequestSchema, message));
    const plain = isPrint
      ? isJson
        ? Buffer.from(text)
        : binary(message)
      : Buffer.from(isJson ? "{}" : "");
    const body = bodyOf(plain, fault, rest.isCompressed ? encoding : null);
    const { cutAt } = rest;
    const sent = cutAt === null ? body : body.subarray(0, Math.floor(body.byteLength * cutAt));
    return {
      headers: {
        ...callHeaders,
        ":path": `/${PrintService.typeName}/${path}`,
        "content-type": contentType,
        ...(timeout !== null && { "grpc-timeout": timeout }),
        ...(encoding !== null && { "grpc-encoding": encoding }),
        ...(accept !== null && { "grpc-accept-encoding": accept }),
        ...(rest.isMarked && { "x-mark": "1" }),
        ...rest.own,
      },
      chunks: inPieces(sent, rest.sizes),
      ending: cutAt === null ? "end" : "reset",
    };
  });

function bodyOf(plain: Uint8Array, fault: string | null, encoding: string | null): Buffer {
  const whole = enveloped(plain, encoding);
  switch (fault) {
    case "nothing at all":
      return Buffer.alloc(0);
    case "a message more":
      return Buffer.concat([whole, whole]);
    case "too long":
      return envelopeBytes(plain, 0, readMaxBytes + 1);
    case "cut short":
      return envelopeBytes(Buffer.concat([plain, Buffer.of(0)]), 0, plain.byteLength + 2);
    case "a head alone":
      return envelopeBytes(new Uint8Array(), 0, 7);
    case "garbage":
      return envelopeBytes(Buffer.of(0xff, 0xff, 0xff));
    case "a flag without compression":
      return envelopeBytes(plain, 1);
    case "broken compression":
      return envelopeBytes(gzipSync(plain).subarray(0, 15), 1);
    case "other flags":
      return envelopeBytes(plain, 0x82);
    default:
      return whole;
  }
}

function enveloped(plain: Uint8Array, encoding: string | null): Buffer {
  if (encoding === "gzip") return envelopeBytes(gzipSync(plain), 1);
  if (encoding === "br") return envelopeBytes(brotliCompressSync(plain), 1);
  return envelopeBytes(plain);
}
