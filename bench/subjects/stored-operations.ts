/** The memory store, filled with operations, most of which are done. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { createHandlerContext } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import { encodedHandlerOf } from "../../src/internal/wire-message.js";
import {
  ListOperationsRequestSchema,
  ListOperationsResponseSchema,
  OperationSchema,
  Operations,
} from "../../src/protos.js";
import { parseFilter } from "../../src/server/filter/parse-filter.js";
import { createOperations, type OperationsServer } from "../../src/server/index.js";
import { createMemoryStore, type ListQuery, type OperationStore } from "../../src/store/index.js";
import { PrintMetadataSchema } from "../../test/gen/printing/v1/printing_pb.js";
import type {
  AnswerPages,
  Fill,
  FillOutcome,
  List,
  ListOutcome,
  WantedOperations,
} from "../child-messages.js";
import { runStored, settledMemory } from "../child-side.js";
import { Print } from "./print.js";

const parent = "projects/demo/locations/eu";
const pageSize = 50;
const typeUrl = `type.googleapis.com/${PrintMetadataSchema.typeName}`;

let store: OperationStore | undefined;
/** The service over the store, created at the first request for answers. */
let server: OperationsServer | undefined;
let stored = 0;
let open = 0;
/** Where pages begin that were walked to. */
const starts = new Map<string, ListQuery["after"]>();

async function fill({ operations, openEvery, wireBytes }: Fill): Promise<FillOutcome> {
  store = undefined;
  server = undefined;
  starts.clear();
  stored = operations;
  open = Math.ceil(operations / openEvery);
  const example = { name: nextName(), ...payloadsOf(wireBytes, 1) };
  const before = await settledMemory();
  const filled = createMemoryStore({ maxOperations: operations, maxBytes: 2 ** 40 });
  for (let count = 0; count < operations; count++) {
    const { metadata, response } = payloadsOf(wireBytes, count % 2);
    await filled.insert({
      name: nextName(),
      parent,
      method: "bench.v1.BenchService/Run",
      principal: "",
      external: false,
      request: new Uint8Array(),
      metadata,
      result: count % openEvery === 0 ? undefined : { kind: "response", value: response },
      retentionMs: 24 * 60 * 60 * 1000,
      deadlineMs: undefined,
      resourceKey: undefined,
      requestId: undefined,
    });
  }
  store = filled;
  return {
    heldBytes: (await settledMemory()) - before,
    wireBytes: toBinary(
      OperationSchema,
      create(OperationSchema, {
        name: example.name,
        metadata: fromBinary(AnySchema, example.metadata),
        done: true,
        result: { case: "response", value: fromBinary(AnySchema, example.response) },
      }),
    ).length,
  };
}

const filters: Record<WantedOperations, ListQuery["filter"]> = {
  all: undefined,
  open: { kind: "done", value: false },
  metadata: parseFilter("metadata.pages_printed = 1", [Print]),
};

async function list({ page, wanted, durationMs }: List): Promise<ListOutcome> {
  if (store === undefined) throw new Error("nothing is stored");
  const query = {
    parent,
    principal: undefined,
    filter: filters[wanted],
    limit: pageSize,
  };
  const matching = { all: stored, open, metadata: Math.floor(stored / 2) }[wanted];
  const lastPage = Math.floor(matching / pageSize);
  const key = `${wanted} ${page}`;
  if (!starts.has(key)) {
    let after: ListQuery["after"];
    for (let at = 1; at < Math.min(page, lastPage); at++) {
      after = (await store.list({ ...query, after })).next;
    }
    starts.set(key, after);
  }
  const after = starts.get(key);
  const startMs = performance.now();
  const before = process.cpuUsage();
  let pages = 0;
  do {
    const { records } = await store.list({ ...query, after });
    if (records.length !== pageSize) throw new Error(`a page of ${records.length} records`);
    pages += 1;
  } while (performance.now() - startMs < durationMs);
  const { user, system } = process.cpuUsage(before);
  const elapsedMicros = (performance.now() - startMs) * 1000;
  return { pages, micros: user + system, elapsedMicros };
}

const listRequest = create(ListOperationsRequestSchema, { name: parent, pageSize: 1000 });
const { listOperations } = Operations.method;

async function answerPages({ form, durationMs }: AnswerPages): Promise<ListOutcome> {
  if (store === undefined) throw new Error("nothing is stored");
  server ??= createOperations({ store });
  const { service } = server;
  const context = createHandlerContext({
    service: Operations,
    method: listOperations,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://localhost",
  });
  const wire = encodedHandlerOf(service.listOperations);
  const copied = () =>
    new Promise<Uint8Array>((resolve, reject) => {
      wire?.answer(listRequest, context, {
        end: context.signal,
        send(message) {
          const bytes = Buffer.allocUnsafe(message.byteLength);
          message.writeTo(bytes, 0);
          resolve(bytes);
        },
        fail: reject,
      });
    });
  const encoded = async () =>
    toBinary(
      ListOperationsResponseSchema,
      create(ListOperationsResponseSchema, await service.listOperations(listRequest, context)),
    );
  const answer = form === "copied" ? copied : encoded;
  const startMs = performance.now();
  const before = process.cpuUsage();
  let pages = 0;
  do {
    const bytes = await answer();
    if (bytes.byteLength < 300_000) throw new Error(`a page of ${bytes.byteLength} bytes`);
    pages += 1;
  } while (performance.now() - startMs < durationMs);
  const { user, system } = process.cpuUsage(before);
  const elapsedMicros = (performance.now() - startMs) * 1000;
  return { pages, micros: user + system, elapsedMicros };
}

function nextName(): string {
  return `${parent}/operations/${uuidv7()}`;
}

/** Metadata and response, both a serialized Any, so that the Operation has about this size. */
function payloadsOf(
  wireBytes: number,
  pagesPrinted: number,
): { metadata: Uint8Array; response: Uint8Array } {
  const fixedBytes = nextName().length + 10;
  const each = Math.max(0, Math.floor((wireBytes - fixedBytes) / 2) - typeUrl.length - 4);
  const known = toBinary(PrintMetadataSchema, create(PrintMetadataSchema, { pagesPrinted }));
  // Pads the message to its size, in a field that the type does not have.
  const writer = new BinaryWriter().raw(known).tag(15, WireType.LengthDelimited);
  const value = writer.bytes(new Uint8Array(Math.max(0, each - 6))).finish();
  const bytes = toBinary(AnySchema, create(AnySchema, { typeUrl, value }));
  return { metadata: bytes, response: bytes };
}

runStored(async (message) => {
  if (message.ask === "fill") return fill(message.argument);
  if (message.ask === "list") return list(message.argument);
  if (message.ask === "answerPages") return answerPages(message.argument);
  throw new Error(`a store is not asked for ${message.ask}`);
});
