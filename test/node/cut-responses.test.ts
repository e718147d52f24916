import type { ServerHttp2Stream } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { createGrpcTransport as createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pack } from "../../src/any/index.js";
import { createOperationsClient } from "../../src/index.js";
import { createGrpcTransport } from "../../src/node/index.js";
import { type Operation, OperationSchema } from "../../src/protos.js";
import { PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { type RawGrpcServer, startRawGrpcServer } from "../support/raw-grpc-server.js";

const name = "operations/1";
const running = create(OperationSchema, { name });
const done = create(OperationSchema, {
  name,
  done: true,
  result: { case: "response", value: pack(PrintResponseSchema, { pages: 3 }) },
});

let server: RawGrpcServer;
beforeAll(async () => {
  server = await startRawGrpcServer();
});
afterAll(() => server.close());

/** Writes a response; `cut` gives the bytes that are left of it. */
function respond(stream: ServerHttp2Stream, operation: Operation, cut = (bytes: Buffer) => bytes) {
  const message = toBinary(OperationSchema, operation);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(cut(Buffer.concat([head, message])));
}

const transports = [
  ["our transport", createGrpcTransport],
  ["Connect's transport", createConnectTransport],
] as const;

const cuts: readonly [how: string, respondCut: (stream: ServerHttp2Stream) => void][] = [
  [
    "in the middle of a message",
    (stream) => respond(stream, done, (bytes) => bytes.subarray(0, 9)),
  ],
  ["in the head of a message", (stream) => respond(stream, done, (bytes) => bytes.subarray(0, 3))],
  ["before a message", (stream) => respond(stream, done, (bytes) => bytes.subarray(0, 0))],
  ["by a reset", (stream) => stream.close(2)],
  [
    "in a page with HTTP 200",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "text/html" });
      stream.end("<html>");
    },
  ],
  [
    "in a page with HTTP 404",
    (stream) => {
      stream.respond({ ":status": 404, "content-type": "text/html" });
      stream.end("<html>");
    },
  ],
];

describe.each(transports)("a wait over %s", (_, createTransport) => {
  it.each(cuts)("tolerates a gRPC response that ends %s", async (__, respondCut) => {
    let gets = 0;
    server.answer((stream, headers) => {
      if (String(headers[":path"]).endsWith("WaitOperation")) {
        stream.respond(
          { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" },
          { endStream: true },
        );
        return;
      }
      gets += 1;
      if (gets === 1) respond(stream, running);
      else if (gets === 2) respondCut(stream);
      else respond(stream, done);
    });
    const transport = createTransport({ baseUrl: server.url });
    const poll = { initialDelayMs: 1, maxDelayMs: 1 };
    const handle = await createOperationsClient(transport, { poll }).resume(Print, name);
    expect(await handle.result()).toMatchObject({ pages: 3 });
    expect(gets).toBe(3);
  });
});
