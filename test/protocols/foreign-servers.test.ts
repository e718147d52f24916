import assert from "node:assert/strict";
import { Code, type ConnectError, type Transport } from "@connectrpc/connect";
import {
  createGrpcTransport as createConnectGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, it } from "vitest";
import {
  createOperationsClient,
  OperationError,
  type OperationsClient,
  type Snapshot,
  standardDetailsOf,
  statusFromError,
} from "../../src/index.js";
import { createGrpcTransport } from "../../src/node/index.js";
import type { Operation } from "../../src/protos.js";
import type { PrintMetadata, PrintResponse } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { rejectionOf } from "../support/rejection.js";
import { createForeignMemory, type ForeignMemory } from "./foreign-memory.js";
import type { ForeignAny, ForeignOperation } from "./foreign-operations.js";
import { type ForeignMethods, type ForeignServer, startForeignServer } from "./foreign-server.js";

const parent = "printers/é";
const name = `${parent}/operations/1`;

/** The payloads of an operation that has printed three pages, as they go over the wire. */
const printed = { typeUrl: "type.googleapis.com/printing.v1.PrintMetadata", value: "0803" };
const response = { typeUrl: "type.googleapis.com/printing.v1.PrintResponse", value: "0803" };

let createTransport: typeof createGrpcTransport;
let server: ForeignServer;
let sessions: Http2SessionManager;
let client: OperationsClient;
/** The methods that the client called, in order. */
let calls: string[];

afterEach(() => {
  sessions.abort();
  server.close();
});

/** The four that are missing answer like this, or are not registered at all. */
const missing: readonly { title: string; methods: Partial<ForeignMethods>; message: RegExp }[] = [
  {
    title: "answers UNIMPLEMENTED with an empty message otherwise",
    methods: {
      ListOperations: (_, callback) => callback(unimplemented),
      WaitOperation: (_, callback) => callback(unimplemented),
      CancelOperation: (_, callback) => callback(unimplemented),
      DeleteOperation: (_, callback) => callback(unimplemented),
    },
    message: /^$/,
  },
  {
    title: "has no other method registered",
    methods: {},
    message: /^The server does not implement the method \/google\.longrunning\.Operations\//,
  },
];
const unimplemented = { code: status.UNIMPLEMENTED, details: "" };

const transports = [
  ["Connect's transport", createConnectGrpcTransport],
  ["our transport", createGrpcTransport],
] as const;

describe.each(transports)("over %s", (_, create) => {
  beforeEach(() => {
    createTransport = create;
  });

  describe("a grpc-js server with all five methods", () => {
    let memory: ForeignMemory;

    beforeEach(async () => {
      memory = createForeignMemory();
      await connect(memory.methods);
    });

    it("shows an operation, and receives its name in the routing header", async () => {
      memory.put(succeeded(3));
      const operation = await client.get(name);
      assert.equal(operation.name, name);
      assert.equal(operation.done, true);
      assert.deepEqual(payloadsOf(operation), [printed, response]);
      assert.deepEqual(memory.routes, ["name=printers%2F%C3%A9%2Foperations%2F1"]);
    });

    it("lists page by page, by filter, and with the unreachable places", async () => {
      const names = [1, 2, 3].map((id) => `${parent}/operations/${id}`);
      for (const each of names) memory.put({ ...running(0), name: each });
      memory.put({ ...running(0), name: "printers/other/operations/4" });
      const [first = "", ...rest] = names;
      memory.put({ ...succeeded(1), name: first });

      const pages: string[][] = [];
      for await (const page of client.list({ name: parent, pageSize: 2 }).pages()) {
        assert.deepEqual(page.unreachable, ["printers/far"]);
        pages.push(page.operations.map((operation) => operation.name));
      }
      assert.deepEqual(pages, [names.slice(0, 2), names.slice(2)]);
      const found: string[] = [];
      const filter = "done = false";
      for await (const operation of client.list({ name: parent, pageSize: 1, filter })) {
        found.push(operation.name);
      }
      assert.deepEqual(found, rest);
      assert.deepEqual(new Set(memory.routes), new Set(["name=printers%2F%C3%A9"]));
    });

    it("lets an operation be watched to its typed response", async () => {
      memory.put(running(0));
      const handle = await client.resume(Print, name);
      const seen: object[] = [];
      for await (const snapshot of handle) {
        seen.push(plain(snapshot));
        const { pagesPrinted = 0 } = snapshot.metadata ?? {};
        memory.put(pagesPrinted < 2 ? running(pagesPrinted + 1) : succeeded(3));
      }
      assert.deepEqual(seen, [
        { kind: "running", pagesPrinted: 0 },
        { kind: "running", pagesPrinted: 1 },
        { kind: "running", pagesPrinted: 2 },
        { kind: "succeeded", pagesPrinted: 3, pages: 3 },
      ]);
      assert.equal((await handle.result()).pages, 3);
    });

    it("is asked once where only the end matters", async () => {
      memory.put(running(0));
      const handle = await client.resume(Print, name);
      const result = handle.result();
      await memory.waited(name);
      memory.put(succeeded(3));
      assert.equal((await result).pages, 3);
      assert.deepEqual(calls, ["GetOperation", "WaitOperation"]);
    });

    it("cancels an operation during a wait for it", async () => {
      memory.put(running(1));
      const handle = await client.resume(Print, name);
      const result = operationErrorOf(handle.result());
      await memory.waited(name);
      assert.equal((await handle.cancelAndWait()).kind, "cancelled");
      const { kind, code, rawMessage } = await result;
      assert.deepEqual([kind, code, rawMessage], ["cancelled", Code.Canceled, "stopped by hand"]);
    });

    it("deletes an operation and ends the waits for it with kind gone", async () => {
      memory.put(running(1));
      const handle = await client.resume(Print, name);
      const result = operationErrorOf(handle.result());
      await memory.waited(name);
      await client.delete(name);
      const { kind, code } = await result;
      assert.deepEqual([kind, code], ["gone", Code.NotFound]);
      assert.equal((await rejectionOf(client.get(name))).code, Code.NotFound);
      assert.equal((await rejectionOf(client.delete(name))).code, Code.NotFound);
      assert.equal((await operationErrorOf(client.resume(Print, name))).kind, "gone");
    });
  });

  describe.each(missing.map((row) => [row.title, row] as const))(
    "a grpc-js server that has GetOperation and %s",
    (_, { methods, message }) => {
      /** Answers to GetOperation one after the other; the last one stays. */
      let states: ForeignOperation[];

      beforeEach(async () => {
        states = [running(0), running(1), running(2), succeeded(3)];
        await connect({
          ...methods,
          GetOperation(_, callback) {
            const [state = succeeded(3)] = states;
            if (states.length > 1) states.shift();
            callback(null, state);
          },
        });
      });

      it("is polled to the response, and asked for WaitOperation once only", async () => {
        const handle = await client.resume(Print, name);
        assert.equal((await handle.result()).pages, 3);
        states = [running(0), succeeded(4)];
        const another = await client.resume(Print, name);
        assert.equal((await another.result()).pages, 4);
        assert.deepEqual(calls, [
          "GetOperation",
          "WaitOperation",
          "GetOperation",
          "GetOperation",
          "GetOperation",
          "GetOperation",
          "GetOperation",
        ]);
      });

      it("lets an operation be watched", async () => {
        const seen: object[] = [];
        for await (const snapshot of await client.resume(Print, name)) seen.push(plain(snapshot));
        assert.deepEqual(seen, [
          { kind: "running", pagesPrinted: 0 },
          { kind: "running", pagesPrinted: 1 },
          { kind: "running", pagesPrinted: 2 },
          { kind: "succeeded", pagesPrinted: 3, pages: 3 },
        ]);
      });

      it("answers each other call with UNIMPLEMENTED", async () => {
        const list = client.list({ name: parent });
        for (const call of [
          () => list[Symbol.asyncIterator]().next(),
          () => client.wait(name),
          () => client.cancel(name),
          () => client.delete(name),
        ]) {
          const { code, rawMessage } = await rejectionOf(call());
          assert.equal(code, Code.Unimplemented);
          assert.match(rawMessage, message);
        }
      });

      it("cannot cancel, which ends neither the operation nor a wait for it", async () => {
        const handle = await client.resume(Print, name);
        const result = handle.result();
        const error = await rejectionOf(handle.cancelAndWait());
        assert.equal(error.code, Code.Unimplemented);
        assert.ok(!(error instanceof OperationError));
        assert.equal((await result).pages, 3);
      });
    },
  );

  describe("a grpc-js server with types that the client does not know", () => {
    // Field 1, the varint 150; then field 3 with two bytes that are not UTF-8.
    const bytes = Buffer.from("0896011a02fffe", "hex");
    const unknown = { type_url: "type.googleapis.com/paper.v9.Feed", value: bytes };
    const given = { typeUrl: unknown.type_url, value: "0896011a02fffe" };
    let memory: ForeignMemory;

    beforeEach(async () => {
      memory = createForeignMemory();
      await connect(memory.methods);
    });

    it("does not keep a wait from resolving by its metadata, which is there raw", async () => {
      memory.put({ ...running(0), metadata: unknown });
      const handle = await client.resume(Print, name);
      const result = handle.result();
      await memory.waited(name);
      memory.put({ ...succeeded(3), metadata: unknown });
      assert.equal((await result).pages, 3);
      const { metadata, metadataError, operation } = handle.snapshot;
      assert.equal(metadata, undefined);
      assert.equal(metadataError?.code, Code.Internal);
      assert.deepEqual(reasonOf(metadataError), [
        "UNEXPECTED_TYPE",
        { expected: "printing.v1.PrintMetadata", typeUrl: unknown.type_url },
      ]);
      assert.deepEqual(payloadsOf(operation), [given, response]);
    });

    it("shows progress although the metadata cannot be decoded", async () => {
      memory.put({ ...running(0), metadata: unknown });
      const seen: object[] = [];
      for await (const { kind, metadataError, operation } of await client.resume(Print, name)) {
        seen.push([kind, metadataError?.code, payloadsOf(operation)]);
        const more = { ...unknown, value: Buffer.concat([bytes, Buffer.of(0x08, seen.length)]) };
        if (seen.length < 2) memory.put({ ...running(0), metadata: more });
        else memory.put(succeeded(3));
      }
      const grown = { typeUrl: unknown.type_url, value: "0896011a02fffe0801" };
      assert.deepEqual(seen, [
        ["running", Code.Internal, [given]],
        ["running", Code.Internal, [grown]],
        ["succeeded", undefined, [printed, response]],
      ]);
    });

    it("has its response kept raw, and never read as of another type", async () => {
      // The bytes are those of a PrintResponse, too.
      const feed = { ...unknown, value: Buffer.of(0x08, 3) };
      memory.put({ ...succeeded(3), response: feed });
      const handle = await client.resume(Print, name);
      const error = await operationErrorOf(handle.result());
      assert.deepEqual([error.kind, error.code], ["unexpected-type", Code.Internal]);
      assert.deepEqual(reasonOf(error), [
        "UNEXPECTED_TYPE",
        { expected: "printing.v1.PrintResponse", typeUrl: feed.type_url },
      ]);
      const operation = error.snapshot?.operation;
      const raw = { typeUrl: feed.type_url, value: "0803" };
      assert.deepEqual(operation && payloadsOf(operation), [printed, raw]);
      assert.equal((await handle.outcome()).kind, "malformed");
    });

    it("may begin its type URLs as it likes: the name after the last slash counts", async () => {
      const { response, ...rest } = succeeded(3);
      const type_url = "types.example.com/v1/printing.v1.PrintResponse";
      memory.put({ ...rest, response: { ...response, type_url } });
      const handle = await client.resume(Print, name);
      assert.equal((await handle.result()).pages, 3);
    });

    it("has its details kept byte for byte, beside those that are known", async () => {
      const known = {
        type_url: "type.googleapis.com/google.rpc.ErrorInfo",
        value: Buffer.from("\x0a\x08NO_PAPER\x12\x05paper"),
      };
      const jam = { type_url: "types.example.com/paper.v9.Jam", value: bytes };
      const details = [jam, known, unknown];
      const message = "kein Papier – 紙がない";
      const error = { code: status.FAILED_PRECONDITION, message, details };
      memory.put({ ...running(1), done: true, result: "error", error });

      const thrown = await operationErrorOf((await client.resume(Print, name)).result());
      const { kind, code, rawMessage } = thrown;
      assert.deepEqual([kind, code, rawMessage], ["failed", Code.FailedPrecondition, message]);
      assert.deepEqual(reasonOf(thrown), ["NO_PAPER", {}]);
      assert.deepEqual(
        thrown.details.map((detail) => "type" in detail && [detail.type, hexOf(detail.value)]),
        [
          ["paper.v9.Jam", "0896011a02fffe"],
          ["google.rpc.ErrorInfo", hexOf(known.value)],
          ["paper.v9.Feed", "0896011a02fffe"],
        ],
      );
      assert.deepEqual(
        statusFromError(thrown).details.map(({ typeUrl, value }) => [typeUrl, hexOf(value)]),
        details.map(({ type_url, value }) => [type_url, hexOf(value)]),
      );
    });
  });
});

/** Serve these methods, with a client of them whose only option is to poll fast. */
async function connect(methods: Partial<ForeignMethods>): Promise<void> {
  server = await startForeignServer(methods);
  calls = [];
  const { baseUrl } = server;
  sessions = new Http2SessionManager(baseUrl);
  const transport = createTransport({ baseUrl, sessionManager: sessions });
  const noting: Transport = {
    // Not by an interceptor: our transport takes a shorter way without interceptors.
    unary(method, ...call) {
      calls.push(method.name);
      return transport.unary(method, ...call);
    },
    stream: transport.stream,
  };
  client = createOperationsClient(noting, { poll: { initialDelayMs: 5, jitter: 0 } });
}

function running(pagesPrinted: number): ForeignOperation {
  const value = pagesPrinted === 0 ? Buffer.alloc(0) : Buffer.of(0x08, pagesPrinted);
  const metadata = { type_url: "type.googleapis.com/printing.v1.PrintMetadata", value };
  return { name, metadata, done: false };
}

function succeeded(pages: number): ForeignOperation & { response: ForeignAny } {
  const type_url = "type.googleapis.com/printing.v1.PrintResponse";
  const response = { type_url, value: Buffer.of(0x08, pages) };
  return { ...running(pages), done: true, result: "response", response };
}

/** A state as data that can be written down by hand. */
function plain(snapshot: Snapshot<PrintResponse, PrintMetadata>): object {
  return {
    kind: snapshot.kind,
    pagesPrinted: snapshot.metadata?.pagesPrinted,
    ...(snapshot.kind === "succeeded" && { pages: snapshot.response.pages }),
  };
}

/** The metadata and the response of an operation, raw: type URLs, and bytes in hex. */
function payloadsOf({ metadata, result }: Operation): object[] {
  const response = result.case === "response" ? result.value : undefined;
  return [metadata, response].flatMap((any) =>
    any === undefined ? [] : [{ typeUrl: any.typeUrl, value: hexOf(any.value) }],
  );
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The ErrorInfo of an error. */
function reasonOf(error: ConnectError | undefined): [string?, object?] {
  const info = error && standardDetailsOf(error).errorInfo;
  return [info?.reason, info?.metadata];
}

/** The OperationError that a call rejects with; any other end of it fails the test. */
async function operationErrorOf(call: Promise<unknown>): Promise<OperationError> {
  const error = await rejectionOf(call);
  if (error instanceof OperationError) return error;
  throw error;
}
