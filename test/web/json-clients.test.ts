import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { create, createFileRegistry, type JsonValue, toJson } from "@bufbuild/protobuf";
import { anyPack, FileDescriptorProtoSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createTypeRegistry } from "../../src/index.js";
import { createServer, type Server } from "../../src/node/index.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  ListOperationsResponseSchema,
  type Operation,
  OperationSchema,
  Operations,
} from "../../src/protos.js";
import { run } from "../consumer/support/run.js";
import {
  PrintMetadataSchema,
  PrintResponseSchema,
  PrintService,
} from "../gen/printing/v1/printing_pb.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const metadata = anyPack(PrintMetadataSchema, create(PrintMetadataSchema, { pagesPrinted: 1 }));
const info = anyPack(
  ErrorInfoSchema,
  create(ErrorInfoSchema, { reason: "JAM", domain: "printing.example", metadata: { tray: "2" } }),
);
const badRequest = anyPack(
  BadRequestSchema,
  create(BadRequestSchema, { fieldViolations: [{ field: "pages", description: "too many" }] }),
);
const unknown = { typeUrl: "types.example/acme.v1.Report", value: Uint8Array.of(8, 1) };

/** Operations of every state, whose types the server knows. */
const known: readonly Operation[] = [
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
    metadata,
    result: { case: "error", value: { code: 3, message: "jam", details: [info, badRequest] } },
  }),
  create(OperationSchema, {
    name: "operations/cancelled",
    done: true,
    result: { case: "error", value: { code: 1, message: "stopped", details: [info] } },
  }),
  create(OperationSchema, {
    name: "operations/running",
    metadata: anyPack(StringValueSchema, create(StringValueSchema, { value: "half" })),
  }),
];

/** The file of a type that reflection serves, and that no service names. */
const reports = createFileRegistry(
  create(FileDescriptorProtoSchema, {
    name: "acme/v1/report.proto",
    package: "acme.v1",
    syntax: "proto3",
    // TYPE_INT32 and LABEL_OPTIONAL of descriptor.proto.
    messageType: [{ name: "Report", field: [{ name: "pages", number: 1, type: 5, label: 1 }] }],
  }),
  () => undefined,
);

/** An operation whose types the server's JSON does not know. */
const foreign = create(OperationSchema, {
  name: "operations/unknown",
  done: true,
  metadata: unknown,
  result: { case: "response", value: unknown },
});
const foreignJson = {
  name: "operations/unknown",
  done: true,
  metadata: { "@type": unknown.typeUrl, value: "CAE=" },
  response: { "@type": unknown.typeUrl, value: "CAE=" },
};

const all = [...known, foreign];
const types = createTypeRegistry([Operations, PrintService]);
const jsonOf = (operation: Operation): JsonValue =>
  operation === foreign ? foreignJson : toJson(OperationSchema, operation, { registry: types });

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer({
    reflection: { files: [...reports.files] },
    routes(router) {
      router.service(PrintService, {});
      router.service(Operations, {
        // The parent's name chooses, because some clients cannot read the foreign one.
        listOperations: ({ name }) => ({ operations: name === "known" ? [...known] : all }),
        getOperation: ({ name }) => all.find((one) => one.name === name) ?? {},
      });
    },
  });
  ({ url } = await server.listen());
});
afterAll(() => server.close({ graceMs: 0 }));

const pathOf = (method: string) => `${url}/${Operations.typeName}/${method}`;

describe("operations in JSON of every state and of unknown types", () => {
  it("are read by curl over Connect", async () => {
    const call = async (method: string, request: object): Promise<unknown> => {
      const body = ["--header", "content-type: application/json", "--data"];
      const args = ["--silent", "--show-error", "--fail", ...body, JSON.stringify(request)];
      return JSON.parse(await run(root, "curl", ...args, pathOf(method)));
    };
    assert.deepEqual(await call("ListOperations", {}), { operations: all.map(jsonOf) });
    for (const one of all) {
      assert.deepEqual(await call("GetOperation", { name: one.name }), jsonOf(one));
    }
  });

  it.each(["grpc", "connect"])("are read by buf curl with reflection over %s", async (protocol) => {
    const call = async (method: string, request: object): Promise<unknown> => {
      const how = ["--http2-prior-knowledge", "--protocol", protocol];
      const args = [...how, "--data", JSON.stringify(request), pathOf(method)];
      return JSON.parse(await run(root, "buf", "curl", ...args));
    };
    // buf takes the foreign type from reflection, and reads none that it does not find.
    const report = { "@type": unknown.typeUrl, pages: 1 };
    const foreignRead = { ...foreignJson, metadata: report, response: report };
    const readBy = (one: Operation) => (one === foreign ? foreignRead : jsonOf(one));
    assert.deepEqual(await call("ListOperations", {}), { operations: all.map(readBy) });
    for (const one of all) {
      assert.deepEqual(await call("GetOperation", { name: one.name }), readBy(one));
    }
  });

  it("are read by Connect-Web's default transport with a registry of the services", async () => {
    const transport = createConnectTransport({ baseUrl: url, jsonOptions: { registry: types } });
    const client = createClient(Operations, transport);
    const list = await client.listOperations({ name: "known" });
    assert.deepEqual(list, create(ListOperationsResponseSchema, { operations: [...known] }));
    for (const one of known) assert.deepEqual(await client.getOperation({ name: one.name }), one);
  });

  it("are read by Connect-Web's transport in binary, those of unknown types too", async () => {
    const transport = createConnectTransport({ baseUrl: url, useBinaryFormat: true });
    const client = createClient(Operations, transport);
    const list = await client.listOperations({});
    assert.deepEqual(list, create(ListOperationsResponseSchema, { operations: all }));
    for (const one of all) assert.deepEqual(await client.getOperation({ name: one.name }), one);
  });
});
