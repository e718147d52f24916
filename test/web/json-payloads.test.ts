import assert from "node:assert/strict";
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type Any,
  AnySchema,
  anyPack,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createTypeRegistry } from "../../src/index.js";
import { createServer, type Server } from "../../src/node/index.js";
import { ErrorInfoSchema, type Operation, OperationSchema, Operations } from "../../src/protos.js";
import type { createWebHandler } from "../../src/web/index.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";
import { envelopeBytes } from "../support/envelope-bytes.js";
import { openSession, rawCall } from "../support/raw-call.js";

const unknown = { typeUrl: "types.example/acme.v1.Report", value: Uint8Array.of(8, 1) };
const unknownJson = { "@type": unknown.typeUrl, value: "CAE=" };
const metadata = anyPack(PrintMetadataSchema, create(PrintMetadataSchema, { pagesPrinted: 1 }));
const info = anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "CANCELLED_BY_CLIENT" }));

const malformed = { typeUrl: metadata.typeUrl, value: Uint8Array.of(8) };
/** A registered payload with a value that JSON cannot hold: a Timestamp of the year 10000. */
const late = anyPack(TimestampSchema, create(TimestampSchema, { seconds: 253402300800n }));
/** The payload within an Any of another Any. */
const nested = (value: Any): Any => anyPack(AnySchema, create(AnySchema, value));
const rawJson = ({ typeUrl, value }: Pick<Any, "typeUrl" | "value">) => ({
  "@type": typeUrl,
  value: Buffer.from(value).toString("base64"),
});

/** An operation of every state, with payloads of known and of unknown types. */
const operations: Operation[] = [
  create(OperationSchema, {
    name: "operations/done",
    done: true,
    metadata,
    result: {
      case: "response",
      value: anyPack(PrintResponseSchema, create(PrintResponseSchema, { pages: 2 })),
    },
  }),
  create(OperationSchema, {
    name: "operations/failed",
    done: true,
    result: { case: "error", value: { code: 3, message: "jam", details: [unknown, info] } },
  }),
  create(OperationSchema, {
    name: "operations/cancelled",
    done: true,
    result: { case: "error", value: { code: 1, message: "stopped", details: [info] } },
  }),
  create(OperationSchema, {
    name: "operations/running",
    metadata: anyPack(StructSchema, fromJson(StructSchema, { done: 1 })),
  }),
  create(OperationSchema, {
    name: "operations/unknown",
    done: true,
    metadata: anyPack(StringValueSchema, create(StringValueSchema, { value: "half" })),
    result: { case: "response", value: unknown },
  }),
  create(OperationSchema, {
    name: "operations/malformed",
    done: true,
    metadata: malformed,
    result: { case: "response", value: nested(create(AnySchema, malformed)) },
  }),
  create(OperationSchema, {
    name: "operations/malformed-details",
    done: true,
    result: { case: "error", value: { code: 3, message: "jam", details: [malformed, late, info] } },
  }),
  create(OperationSchema, { name: "operations/late", metadata: late }),
];

const infoJson = {
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason: "CANCELLED_BY_CLIENT",
};
const expected: JsonValue = {
  operations: [
    {
      name: "operations/done",
      done: true,
      metadata: { "@type": "type.googleapis.com/printing.v1.PrintMetadata", pagesPrinted: 1 },
      response: { "@type": "type.googleapis.com/printing.v1.PrintResponse", pages: 2 },
    },
    {
      name: "operations/failed",
      done: true,
      error: { code: 3, message: "jam", details: [unknownJson, infoJson] },
    },
    {
      name: "operations/cancelled",
      done: true,
      error: { code: 1, message: "stopped", details: [infoJson] },
    },
    {
      name: "operations/running",
      metadata: { "@type": "type.googleapis.com/google.protobuf.Struct", value: { done: 1 } },
    },
    {
      name: "operations/unknown",
      done: true,
      metadata: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: "half" },
      response: unknownJson,
    },
    {
      name: "operations/malformed",
      done: true,
      metadata: rawJson(malformed),
      response: { "@type": "type.googleapis.com/google.protobuf.Any", value: rawJson(malformed) },
    },
    {
      name: "operations/malformed-details",
      done: true,
      error: { code: 3, message: "jam", details: [rawJson(malformed), rawJson(late), infoJson] },
    },
    { name: "operations/late", metadata: rawJson(late) },
  ],
};

const list = `/${Operations.typeName}/ListOperations`;
const routes: Parameters<typeof createWebHandler>[0]["routes"] = (router) => {
  router.service(Operations, {
    listOperations: () => ({ operations }),
    getOperation: ({ name }) => operations.find((one) => one.name === name) ?? {},
  });
  router.service(PrintService, {});
};

describe.each([
  { by: "the fast path", fastPath: true },
  { by: "Connect's handlers", fastPath: false },
])("a list in JSON, by $by", ({ fastPath }) => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer({ routes, fastPath });
    ({ url } = await server.listen());
  });
  afterAll(() => server.close({ graceMs: 0 }));

  it("has every operation over Connect", async () => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url + list, { method: "POST", headers, body: "{}" });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), expected);
  });

  it.each(["application/grpc-web+json", "application/grpc+json"])(
    "has every operation over %s",
    async (contentType) => {
      const session = await openSession(url);
      const { data } = await rawCall(session, {
        headers: { ":method": "POST", ":path": list, "content-type": contentType },
        chunks: [envelopeBytes(Buffer.from("{}"))],
      });
      session.destroy();
      const bytes = Buffer.from(data, "hex");
      const message = bytes.subarray(5, 5 + bytes.readUInt32BE(1)).toString();
      assert.deepEqual(JSON.parse(message), expected);
    },
  );

  it("is read by Connect-Web's default transport with a registry of the services", async () => {
    const registry = createTypeRegistry([Operations, PrintService]);
    const transport = createConnectTransport({ baseUrl: url, jsonOptions: { registry } });
    const client = createClient(Operations, transport);
    for (const { name } of operations.slice(0, 4)) {
      if (name === "operations/failed") continue;
      const expectedOperation = operations.find((one) => one.name === name);
      assert.deepEqual(await client.getOperation({ name }), expectedOperation);
    }
  });

  it("refuses an unregistered type in a request with 400", async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ "@type": `${unknown.typeUrl}#/unregistered.Payload`, value: "" });
    const response = await fetch(url + list, {
      method: "POST",
      headers,
      body: `{"filter":${body}}`,
    });
    assert.equal(response.status, 400);
  });
});

describe("createServer", () => {
  it("throws if a method starts operations that no method can get", () => {
    assert.throws(
      () => createServer({ routes: (router) => router.service(PrintService, {}) }),
      /printing\.v1\.PrintService\.Print returns .*router\.service\(Operations/,
    );
    createServer({ routes });
  });
});
