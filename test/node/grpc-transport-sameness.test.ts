import assert from "node:assert/strict";
import type { OutgoingHttpHeaders } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary, toJson, toJsonString } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  encodeBinaryHeader,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  compressionGzip,
  createGrpcTransport as createConnectGrpcTransport,
  type GrpcTransportOptions,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema, StatusSchema } from "../../src/protos.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { anOperation } from "../support/an-operation.js";
import { envelopeBytes, inPieces } from "../support/envelope-bytes.js";
import { type RawGrpcServer, startRawGrpcServer } from "../support/raw-grpc-server.js";

let server: RawGrpcServer;
let ours: Http2SessionManager;
let theirs: Http2SessionManager;

beforeAll(async () => {
  server = await startRawGrpcServer();
  ours = new Http2SessionManager(server.url);
  theirs = new Http2SessionManager(server.url);
});

afterAll(async () => {
  ours.abort();
  theirs.abort();
  await server.close();
});

describe("a unary call", () => {
  it("is made and read by our transport as by Connect's", async () => {
    await fc.assert(
      fc.asyncProperty(answers, calls, async (answer, call) => {
        server.answer((stream) => {
          stream.respond(answer.headers, {
            waitForTrailers: answer.trailers !== null,
            endStream: answer.isHeadersOnly,
          });
          if (answer.isHeadersOnly) return;
          const { trailers } = answer;
          if (trailers !== null) stream.once("wantTrailers", () => stream.sendTrailers(trailers));
          const body = bodyOf(answer.body, call.options.useBinaryFormat);
          for (const chunk of inPieces(body, answer.sizes)) stream.write(chunk);
          stream.end();
        });
        const expected = await observe(createConnectGrpcTransport, theirs, call);
        assert.deepEqual(await observe(createGrpcTransport, ours, call), expected);
      }),
      { numRuns: 500 },
    );
  });
});

/** One call, as a caller, an interceptor and the server see it. */
interface Call {
  readonly options: Omit<GrpcTransportOptions, "baseUrl">;
  readonly isIntercepted: boolean;
  readonly headers: Record<string, string> | undefined;
  readonly timeoutMs: number | undefined;
  readonly pages: number;
}

async function observe(
  create: (options: GrpcTransportOptions) => Transport,
  sessionManager: Http2SessionManager,
  call: Call,
): Promise<object> {
  const intercepted: unknown[] = [];
  const intercept: Interceptor = (next) => async (request) => {
    intercepted.push(request.url, request.requestMethod, [...request.header], request.stream);
    request.header.set("x-intercepted", "1");
    const response = await next(request);
    intercepted.push([...response.header], [...response.trailer]);
    return { ...response };
  };
  const interceptors = call.isIntercepted ? [intercept] : [];
  const baseUrl = server.url;
  const transport = create({ ...call.options, baseUrl, sessionManager, interceptors });
  server.received.length = 0;
  const answered = await settled(transport, call);
  return { answered, received: server.received.splice(0), intercepted };
}

async function settled(transport: Transport, { headers, timeoutMs, pages }: Call): Promise<object> {
  const { print } = PrintService.method;
  try {
    const message = { parent: "printers/é", pages };
    const answer = await transport.unary(print, undefined, timeoutMs, headers, message);
    const copy = { ...answer };
    return {
      message: toJson(OperationSchema, copy.message),
      header: withoutDate(copy.header),
      trailer: [...copy.trailer],
      isStream: copy.stream,
      method: copy.method.name,
      service: copy.service.typeName,
    };
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const { code, rawMessage, metadata, details } = error;
    return { code: Code[code], rawMessage, metadata: withoutDate(metadata), details };
  }
}

function withoutDate(headers: Headers): [string, string][] {
  return [...headers].filter(([name]) => name !== "date");
}

const calls: fc.Arbitrary<Call> = fc.record({
  options: fc.record({
    useBinaryFormat: fc.boolean(),
    sendCompression: fc.constantFrom(compressionGzip, undefined),
    acceptCompression: fc.constantFrom([compressionGzip], [], undefined),
    compressMinBytes: fc.constantFrom(0, 1024),
    readMaxBytes: fc.constantFrom(60, 100_000),
    defaultTimeoutMs: fc.constantFrom(undefined, 50_000),
  }),
  isIntercepted: fc.boolean(),
  headers: fc.option(
    fc.constantFrom<Record<string, string>>(
      { "X-Own": "1", "x-bin": encodeBinaryHeader(Buffer.of(1, 2)) },
      { "User-Agent": "own/1", "content-type": "text/html", te: "x", "grpc-timeout": "1S" },
    ),
    { nil: undefined },
  ),
  timeoutMs: fc.constantFrom(undefined, 30_000, 0, -1, 99_999_999),
  pages: fc.constantFrom(0, 7, -1),
});

const operation = anOperation({ name: "operations/a", done: false });
const binary = toBinary(OperationSchema, operation);
const json = Buffer.from(toJsonString(OperationSchema, operation));
const status = encodeBinaryHeader(
  create(StatusSchema, {
    code: Code.Aborted,
    message: "Stau – 紙",
    details: [{ typeUrl: "type.googleapis.com/a.B", value: Buffer.of(1) }],
  }),
  StatusSchema,
);

/** One fault at most, as of several either side may tell another one first. */
const bodies = {
  "a message": envelopeBytes,
  "a message, zipped": (message) => envelopeBytes(gzipSync(message), 1),
  "a message that is said to be zipped": (message) => envelopeBytes(message, 1),
  "an empty message": () => envelopeBytes(new Uint8Array()),
  "no message": () => Buffer.alloc(0),
  "two messages": (message) => Buffer.concat([envelopeBytes(message), envelopeBytes(message)]),
  "half a message": (message) => envelopeBytes(message, 0, message.byteLength + 1),
  "a head alone": () => envelopeBytes(new Uint8Array(), 0, 7),
  garbage: () => envelopeBytes(Buffer.of(0xff)),
  "a large message": () => envelopeBytes(Buffer.alloc(200)),
} satisfies Record<string, (message: Uint8Array) => Buffer>;

function bodyOf(kind: keyof typeof bodies, isBinary: boolean | undefined): Buffer {
  return bodies[kind](isBinary ? binary : json);
}

const bodyKinds = fc.constantFrom<(keyof typeof bodies)[]>(
  "a message",
  "a message",
  "a message",
  "a message, zipped",
  "a message that is said to be zipped",
  "an empty message",
  "no message",
  "two messages",
  "half a message",
  "a head alone",
  "garbage",
  "a large message",
);

const statuses = fc.constantFrom<OutgoingHttpHeaders>(
  { "grpc-status": "0" },
  { "grpc-status": "0", "x-trailer": ["a", "b"] },
  { "grpc-status": "5", "grpc-message": "no%20paper%20%E2%80%93" },
  { "grpc-status": "10", "grpc-status-details-bin": status, "x-trailer-bin": "AAE" },
  { "grpc-status": "0", "grpc-status-details-bin": status },
  { "grpc-status": "99" },
  { "grpc-status": "x" },
  { "x-trailer": "no status" },
);

const answers = fc
  .record({
    httpStatus: fc.constantFrom(200, 200, 200, 200, 404, 503, 204),
    contentType: fc.constantFrom(
      "application/grpc",
      "application/grpc+proto",
      "application/grpc+json",
      "text/html",
      undefined,
    ),
    encoding: fc.constantFrom(undefined, undefined, "identity", "gzip", "snappy"),
    body: bodyKinds,
    sizes: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
    inHeaders: fc.option(statuses, { freq: 3 }),
    trailers: fc.option(statuses, { freq: 8 }),
    isHeadersOnly: fc.constantFrom(false, false, false, true),
  })
  .map(({ httpStatus, contentType, encoding, inHeaders, ...rest }) => ({
    ...rest,
    headers: {
      ":status": httpStatus,
      ...(contentType !== undefined && { "content-type": contentType }),
      ...(encoding !== undefined && { "grpc-encoding": encoding }),
      ...inHeaders,
    },
  }));
