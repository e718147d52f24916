import assert from "node:assert/strict";
import { constants, type ServerHttp2Stream } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import { type Client, Code, createClient } from "@connectrpc/connect";
import {
  createGrpcTransport as createConnectGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createLongRunningClient } from "../../src/index.js";
import { createGrpcTransport } from "../../src/node/index.js";
import { OperationSchema, Operations } from "../../src/protos.js";
import { anOperation } from "../support/an-operation.js";
import { createCountedAbort } from "../support/counted-signal.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { Print } from "../support/print-server.js";
import { type RawGrpcServer, startRawGrpcServer } from "../support/raw-grpc-server.js";
import { rejectionDetailsOf, rejectionOf } from "../support/rejection.js";

const answer = envelopeBytes(toBinary(OperationSchema, anOperation()));
const headers = { ":status": 200, "content-type": "application/grpc" };

let server: RawGrpcServer;
let sessionManager: Http2SessionManager;
let client: Client<typeof Operations>;

beforeEach(async () => {
  server = await startRawGrpcServer();
  server.answer(respond);
  sessionManager = new Http2SessionManager(server.url);
  client = createClient(
    Operations,
    createGrpcTransport({ baseUrl: server.url, sessionManager, writeMaxBytes: 100 }),
  );
});

afterEach(async () => {
  sessionManager.abort();
  await server.close();
});

/** Answer as a server should. */
function respond(stream: ServerHttp2Stream): void {
  stream.respond(headers, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(answer);
}

/** Resolves with the stream of the next request, which is not answered. */
function nextStream(): Promise<ServerHttp2Stream> {
  return new Promise((resolve) => server.answer(resolve));
}

describe("createGrpcTransport", () => {
  it("fails a call with UNAVAILABLE whose connection is lost, and makes the next on a new one", async () => {
    const stream = nextStream();
    const call = client.getOperation({});
    await stream;
    server.cut();
    const error = await rejectionOf(call);
    assert.equal(error.code, Code.Unavailable);
    const { errorInfo } = await rejectionDetailsOf(call);
    assert.equal(errorInfo?.reason, "CONNECTION_LOST");
    assert.deepEqual(errorInfo?.metadata, { authority: server.url });
    server.answer(respond);
    assert.equal((await client.getOperation({})).name, anOperation().name);
  });

  it("fails a call with UNAVAILABLE whose connection is lost in the middle of the answer", async () => {
    server.answer((stream) => {
      stream.respond(headers);
      stream.write(answer.subarray(0, 7), () => server.cut());
    });
    assert.equal((await rejectionOf(client.getOperation({}))).code, Code.Unavailable);
  });

  it("fails a call with UNAVAILABLE if the port is closed", async () => {
    await server.close();
    const call = client.getOperation({});
    assert.equal((await rejectionOf(call)).code, Code.Unavailable);
    assert.equal((await rejectionDetailsOf(call)).errorInfo?.reason, "NOT_CONNECTED");
    server = await startRawGrpcServer();
  });

  it("fails a call with UNAVAILABLE when the server goes away with an error", async () => {
    const stream = nextStream();
    const call = client.getOperation({});
    (await stream).session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    assert.equal((await rejectionOf(call)).code, Code.Unavailable);
  });

  it("finishes a call on a connection that says GOAWAY, and opens another for the next", async () => {
    const stream = nextStream();
    const call = client.getOperation({});
    const first = await stream;
    const firstSession = first.session;
    firstSession?.goaway(constants.NGHTTP2_NO_ERROR);
    const second = nextStream();
    respond(first);
    assert.equal((await call).name, anOperation().name);
    const next = client.getOperation({});
    const secondStream = await second;
    assert.notEqual(secondStream.session, firstSession);
    respond(secondStream);
    await next;
  });

  // gRPC's PROTOCOL-HTTP2.md, "Errors".
  it.each([
    ["PROTOCOL_ERROR", constants.NGHTTP2_PROTOCOL_ERROR, Code.Internal],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR, Code.Internal],
    ["FLOW_CONTROL_ERROR", constants.NGHTTP2_FLOW_CONTROL_ERROR, Code.Internal],
    ["REFUSED_STREAM", constants.NGHTTP2_REFUSED_STREAM, Code.Unavailable],
    ["CANCEL", constants.NGHTTP2_CANCEL, Code.Canceled],
    ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.ResourceExhausted],
    ["INADEQUATE_SECURITY", constants.NGHTTP2_INADEQUATE_SECURITY, Code.PermissionDenied],
  ])("fails a call whose stream is reset with %s", async (_, reset, code) => {
    server.answer((stream) => stream.close(reset));
    assert.equal((await rejectionOf(client.getOperation({}))).code, code);
  });

  it("sends a refused call once more, because the server has not processed it", async () => {
    let streams = 0;
    const timeouts: unknown[] = [];
    server.answer((stream, headers) => {
      streams += 1;
      timeouts.push(headers["grpc-timeout"]);
      if (streams === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else respond(stream);
    });
    const { name } = await client.getOperation({}, { timeoutMs: 5000 });
    assert.deepEqual([name, streams], [anOperation().name, 2]);
    assert.deepEqual(timeouts, ["5000m", "5000m"]);
  });

  it("sends a call once more over another connection if it crosses the server's GOAWAY", async () => {
    const first = nextStream();
    const warm = client.getOperation({});
    const { session } = await first;
    respond(await first);
    await warm;
    assert.ok(session !== undefined);
    const accepted = nextStream();
    // The server has processed no stream above 1, and the next one is on its way.
    session.goaway(constants.NGHTTP2_NO_ERROR, 1);
    const call = client.getOperation({});
    respond(await accepted);
    assert.equal((await call).name, anOperation().name);
  });

  it("fails a call whose stream is refused twice", async () => {
    let streams = 0;
    server.answer((stream) => {
      streams += 1;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    assert.equal((await rejectionOf(client.getOperation({}))).code, Code.Unavailable);
    assert.equal(streams, 2);
  });

  it.each([
    ["our transport, which sends it once more itself", createGrpcTransport],
    ["Connect's transport, by its request id", createConnectGrpcTransport],
  ])("starts an operation although the stream is refused: %s", async (_, createTransport) => {
    let streams = 0;
    server.answer((stream) => {
      streams += 1;
      if (streams === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else respond(stream);
    });
    const transport = createTransport({ baseUrl: server.url, sessionManager });
    const poll = { initialDelayMs: 1 };
    const printer = createLongRunningClient({ print: Print }, transport, { poll });
    const handle = await printer.print({});
    assert.deepEqual([handle.name, streams], [anOperation().name, 2]);
    const [first, second] = server.received.map(({ data }) => data);
    assert.equal(first, second);
  });

  it("gives a call up at its deadline, and cancels its stream", async () => {
    const stream = nextStream();
    const call = client.getOperation({}, { timeoutMs: 50 });
    const closed = closeOf(await stream);
    const error = await rejectionOf(call);
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.DeadlineExceeded, "the operation timed out"],
    );
    assert.equal(await closed, constants.NGHTTP2_CANCEL);
  });

  it("gives a call up when its signal aborts, with the reason, and cancels its stream", async () => {
    const controller = new AbortController();
    const stream = nextStream();
    const call = client.getOperation({}, { signal: controller.signal });
    const closed = closeOf(await stream);
    controller.abort(new Error("enough"));
    const error = await rejectionOf(call);
    assert.deepEqual([error.code, error.rawMessage], [Code.Canceled, "enough"]);
    assert.equal(await closed, constants.NGHTTP2_CANCEL);
  });

  it("sends no call if its signal is aborted or its message is too large", async () => {
    const signal = AbortSignal.abort();
    const aborted = await rejectionOf(client.getOperation({}, { signal }));
    assert.equal(aborted.code, Code.Canceled);
    const large = await rejectionOf(client.getOperation({ name: "x".repeat(101) }));
    assert.equal(large.code, Code.ResourceExhausted);
    await client.getOperation({});
    assert.equal(server.received.length, 1);
  });

  it("gives up while it connects", async () => {
    const controller = new AbortController();
    const call = client.getOperation({}, { signal: controller.signal });
    controller.abort();
    assert.equal((await rejectionOf(call)).code, Code.Canceled);
    await client.getOperation({});
  });

  it.each([
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [99_999_999_001, "1666667M"],
  ])("sends a timeout of %d ms as %s, which has eight digits at most", async (timeoutMs, text) => {
    await client.getOperation({}, { timeoutMs });
    const [received] = server.received;
    assert.equal(Object.fromEntries(received?.headers ?? [])["grpc-timeout"], text);
  });

  it("leaves nothing behind on the caller's signal", async () => {
    const { signal, listeners } = createCountedAbort();
    await client.getOperation({}, { signal });
    server.answer((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    await rejectionOf(client.getOperation({}, { signal }));
    assert.equal(listeners(), 0);
  });
});

/** The code that a stream is closed with. */
function closeOf(stream: ServerHttp2Stream): Promise<number | undefined> {
  return new Promise((resolve) => stream.once("close", () => resolve(stream.rstCode)));
}
