import assert from "node:assert/strict";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { afterEach, describe, it } from "vitest";
import { registerEncodedHandler } from "../../src/internal/wire-message.js";
import { createGrpcTransport, createServer, type ServerOptions } from "../../src/node/index.js";
import {
  type GetOperationRequest,
  GetOperationRequestSchema,
  ListOperationsRequestSchema,
  OperationSchema,
  Operations,
  WaitOperationRequestSchema,
} from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createMemoryStore } from "../../src/store/index.js";
import { PrintMetadataSchema, PrintResponseSchema } from "../gen/printing/v1/printing_pb.js";
import { anInsert } from "../support/an-insert.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { openSession, rawCall } from "../support/raw-call.js";

const servers: ReturnType<typeof createServer>[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close({ graceMs: 0 });
});

/** Serve until the end of the test, and resolve with the address. */
async function serve(options: ServerOptions): Promise<string> {
  const server = createServer(options);
  servers.push(server);
  return (await server.listen()).url;
}

type MethodName = "GetOperation" | "ListOperations" | "WaitOperation";

async function callAt(
  url: string,
  method: MethodName,
  message: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
) {
  const session = await openSession(url);
  try {
    return await rawCall(session, {
      headers: {
        ":method": "POST",
        ":path": `/${Operations.typeName}/${method}`,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      },
      chunks: [envelopeBytes(message)],
    });
  } finally {
    session.destroy();
  }
}

function bytes<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/** Operations of every kind, in a store of their own. */
async function createFilled() {
  const store = createMemoryStore();
  const metadata = toBinary(
    AnySchema,
    anyPack(PrintMetadataSchema, create(PrintMetadataSchema, { pagesPrinted: 3 })),
  );
  const printed = anyPack(PrintResponseSchema, create(PrintResponseSchema, { pages: 4 }));
  const response = { kind: "response", value: toBinary(AnySchema, printed) } as const;
  const large = create(AnySchema, { ...printed, value: new Uint8Array(5000) });
  for (const init of [
    { name: "operations/running", metadata },
    { name: "operations/done", metadata, result: response },
    { name: "operations/failed", result: { kind: "error", value: Uint8Array.of(8, 5) } },
    { name: "operations/large", result: { ...response, value: toBinary(AnySchema, large) } },
  ] as const) {
    await store.insert(anInsert({ retentionMs: 60_000, ...init }));
  }
  // The token of a page is sealed with a key and a nonce: no two are the same.
  return createOperations({ store });
}

const get = (name: string) => bytes(GetOperationRequestSchema, { name });

describe("the operations service on the fast path", () => {
  it.each<
    [what: string, method: MethodName, request: Uint8Array, headers?: Record<string, string>]
  >([
    ["an operation that is not done", "GetOperation", get("operations/running")],
    ["a done operation", "GetOperation", get("operations/done")],
    ["a failed operation", "GetOperation", get("operations/failed")],
    ["an unknown operation", "GetOperation", get("operations/none")],
    ["a malformed name", "GetOperation", get("nothing/at all")],
    ["more than writeMaxBytes", "GetOperation", get("operations/large")],
    [
      "a compressed operation",
      "GetOperation",
      get("operations/done"),
      { "grpc-accept-encoding": "gzip" },
    ],
    ["a page", "ListOperations", bytes(ListOperationsRequestSchema, { filter: "done = false" })],
    ["a page of too much", "ListOperations", bytes(ListOperationsRequestSchema, {})],
    ["a wait", "WaitOperation", bytes(WaitOperationRequestSchema, { name: "operations/done" })],
  ])(
    "answers %s as over Connect's handlers, byte for byte",
    async (_, method, request, headers) => {
      const { service } = await createFilled();
      const [fast, connects] = await Promise.all(
        [true, false].map(async (fastPath) => {
          const url = await serve({
            routes: (router) => router.service(Operations, service),
            fastPath,
            writeMaxBytes: 2000,
            compressMinBytes: 10,
          });
          return callAt(url, method, request, headers);
        }),
      );
      assert.deepEqual(fast, connects);
    },
  );
});

describe("an implementation whose answers are there in their wire form", () => {
  const wireOperation = bytes(OperationSchema, { name: "operations/by-wire" });

  const serveBoth = (options: Partial<ServerOptions> = {}) => {
    const getOperation = (_: GetOperationRequest) =>
      create(OperationSchema, { name: "operations/by-message" });
    registerEncodedHandler(getOperation, {
      answer(_, _context, reply) {
        reply.send({
          byteLength: wireOperation.byteLength,
          writeTo(target, at) {
            target.set(wireOperation, at);
            return at + wireOperation.byteLength;
          },
        });
      },
    });
    return serve({ routes: (router) => router.service(Operations, { getOperation }), ...options });
  };
  const nameAt = async (baseUrl: string, useBinaryFormat = true) => {
    const transport = createGrpcTransport({ baseUrl, useBinaryFormat });
    return (await createClient(Operations, transport).getOperation({})).name;
  };

  it("is asked for that", async () => {
    assert.equal(await nameAt(await serveBoth()), "operations/by-wire");
  });

  it("is asked for the message by an interceptor, which may change it", async () => {
    const interceptor: Interceptor = (next) => async (request) => {
      const response = await next(request);
      if (!response.stream) Object.assign(response.message, { done: true });
      return response;
    };
    const url = await serveBoth({ interceptors: [interceptor] });
    const { data } = await callAt(url, "GetOperation", new Uint8Array());
    const changed = bytes(OperationSchema, { name: "operations/by-message", done: true });
    assert.equal(data, Buffer.from(envelopeBytes(changed)).toString("hex"));
  });

  it("is asked for the message where the answer is JSON", async () => {
    assert.equal(await nameAt(await serveBoth(), false), "operations/by-message");
  });

  it("is asked for the message where Connect's handlers answer", async () => {
    assert.equal(await nameAt(await serveBoth({ fastPath: false })), "operations/by-message");
  });
});
