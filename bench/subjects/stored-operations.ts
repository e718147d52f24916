/** The memory store, filled with operations, most of which are done. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { v7 as uuidv7 } from "uuid";
import { OperationSchema } from "../../src/protos.js";
import { createMemoryStore, type ListQuery, type OperationStore } from "../../src/server/index.js";
import type { Fill, FillOutcome, List, ListOutcome } from "../child-messages.js";
import { runStored, settledMemory } from "../child-side.js";

const parent = "projects/demo/locations/eu";
const pageSize = 50;
const typeUrl = "type.googleapis.com/b.M";

let store: OperationStore | undefined;
let stored = 0;
let open = 0;
/** Where pages begin that were walked to. */
const starts = new Map<string, ListQuery["after"]>();

async function fill({ operations, openEvery, wireBytes }: Fill): Promise<FillOutcome> {
  store = undefined;
  starts.clear();
  stored = operations;
  open = Math.ceil(operations / openEvery);
  const example = { name: nextName(), ...payloadsOf(wireBytes) };
  const before = await settledMemory();
  const filled = createMemoryStore({ maxOperations: operations, maxBytes: 2 ** 40 });
  for (let count = 0; count < operations; count++) {
    const { metadata, response } = payloadsOf(wireBytes);
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

async function list({ page, isOpen, durationMs }: List): Promise<ListOutcome> {
  if (store === undefined) throw new Error("nothing is stored");
  const query = {
    parent,
    principal: undefined,
    filter: isOpen ? ({ kind: "done", value: false } as const) : undefined,
    limit: pageSize,
  };
  const lastPage = Math.floor((isOpen ? open : stored) / pageSize);
  const key = `${isOpen} ${page}`;
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
  return { pages, micros: user + system };
}

function nextName(): string {
  return `${parent}/operations/${uuidv7()}`;
}

/** Metadata and response, both a serialized Any, so that the Operation has about this size. */
function payloadsOf(wireBytes: number): { metadata: Uint8Array; response: Uint8Array } {
  const fixedBytes = nextName().length + 10;
  const each = Math.max(0, Math.floor((wireBytes - fixedBytes) / 2) - typeUrl.length - 4);
  const any = { typeUrl, value: new Uint8Array(each).fill(7) };
  const bytes = toBinary(AnySchema, create(AnySchema, any));
  return { metadata: bytes, response: bytes };
}

runStored(async (message) => {
  if (message.ask === "fill") return fill(message.argument);
  if (message.ask === "list") return list(message.argument);
  throw new Error(`a store is not asked for ${message.ask}`);
});
