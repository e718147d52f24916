import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { pack } from "../../any/any.js";
import { ErrorInfoSchema, StatusSchema } from "../../protos.js";
import { matchesFilter, negated, type OperationFilter } from "../../store/operation-filter.js";
import type {
  NewOperation,
  OperationRecord,
  OperationStore,
  StoredResult,
} from "../../store/operation-store.js";
import { assertSame, assertThat, type ContractCase, contractCase } from "../contract.js";

const text = (value: string) => toBinary(AnySchema, pack(StringValueSchema, { value }));
const response: StoredResult = { kind: "response", value: text("paper") };
const failure = (code: Code, message: string): StoredResult => {
  const details = [pack(ErrorInfoSchema, { reason: "JAM" })];
  return {
    kind: "error",
    value: toBinary(StatusSchema, create(StatusSchema, { code, message, details })),
  };
};

/** Operations of one parent in every state, of two methods, with payloads of several types. */
async function fill(store: OperationStore, parent: string): Promise<void> {
  let count = 0;
  const insert = async (init: Partial<NewOperation>) => {
    count += 1;
    const name = `${parent}/operations/${count}-${crypto.randomUUID()}`;
    await store.insert({
      name,
      parent,
      method: "printing.v1.PrintService/Print",
      principal: "",
      external: false,
      request: new Uint8Array(),
      metadata: undefined,
      result: undefined,
      retentionMs: 24 * 60 * 60 * 1000,
      requestId: undefined,
      deadlineMs: undefined,
      resourceKey: undefined,
      ...init,
    });
    return name;
  };
  const finish = async (name: string, result: StoredResult) => {
    await store.claim(name);
    await store.finish({ name, attempt: 1 }, result);
  };
  await insert({ metadata: text("page 1"), principal: "users/ann" });
  await insert({ metadata: text("page 2"), method: "printing.v1.PrintService/Clean" });
  // These bytes are not a message of any type.
  await insert({ metadata: Uint8Array.of(0xff, 0x00, 0xfe, 0x80) });
  await finish(await insert({ metadata: text("page 3") }), response);
  await finish(await insert({}), failure(Code.NotFound, "no paper"));
  await finish(await insert({}), failure(Code.Aborted, "jam_1%"));
  await insert({ result: response, method: "printing.v1.PrintService/Clean" });
  const resourceKey = `printers/${crypto.randomUUID()}`;
  const tried = await insert({ resourceKey });
  await insert({ resourceKey, principal: "users/bob" });
  await store.claim(tried);
  await store.claim(tried);
  const running = await insert({ external: true });
  await store.requestCancel(running, failure(Code.Canceled, "cancelled"));
}

/** Filters of every kind, about the records of one list. */
function filtersAbout(records: readonly OperationRecord[]): OperationFilter[] {
  const middle = records[Math.floor(records.length / 2)];
  const ended = records.find(({ endTimeMicros }) => endTimeMicros !== undefined);
  const operators = ["=", "!=", "<", "<=", ">", ">="] as const;
  const compare = (value: string) => ({ kind: "compare", operator: "=", value }) as const;
  const value = { kind: "field", field: StringValueSchema.field.value } as const;
  const conditions: OperationFilter[] = [
    { kind: "done", value: true },
    { kind: "done", value: false },
    { kind: "cancel-requested", value: true },
    { kind: "cancel-requested", value: false },
    ...operators.flatMap((operator): OperationFilter[] => [
      { kind: "text", column: "name", operator, value: middle?.name ?? "" },
      { kind: "text", column: "method", operator, value: "printing.v1.PrintService/Clean" },
      { kind: "text", column: "principal", operator, value: "users/ann" },
      { kind: "attempt", operator, value: 1 },
      { kind: "error-code", operator, value: Code.NotFound },
      { kind: "time", column: "create_time", operator, micros: middle?.createTimeMicros ?? 0 },
      { kind: "time", column: "update_time", operator, micros: middle?.updateTimeMicros ?? 0 },
      { kind: "time", column: "end_time", operator, micros: ended?.endTimeMicros ?? 0 },
    ]),
    { kind: "wildcard", column: "name", pieces: ["", "/operations/3-", ""] },
    // The wildcards of SQL have no meaning in a filter, and filters distinguish upper and lower
    // case.
    { kind: "wildcard", column: "name", pieces: ["", "/operations/_-", ""] },
    { kind: "wildcard", column: "method", pieces: ["printing", "%", "n"] },
    { kind: "wildcard", column: "method", pieces: ["", "/clean"] },
    { kind: "wildcard", column: "method", pieces: ["printing.", "/", "n"] },
    { kind: "method-in", methods: ["printing.v1.PrintService/Clean", "x"] },
    { kind: "method-in", methods: [] },
    { kind: "wildcard", column: "principal", pieces: ["users/", ""] },
    { kind: "state-in", states: ["blocked"] },
    { kind: "state-in", states: ["queued", "done"] },
    { kind: "state-in", states: ["running"] },
    { kind: "state-in", states: [] },
    { kind: "present", column: "end_time" },
    { kind: "present", column: "metadata" },
    { kind: "present", column: "response" },
    { kind: "present", column: "error" },
    {
      kind: "payload",
      payload: "metadata",
      alternatives: [{ type: StringValueSchema, path: [value], test: compare("page 2") }],
    },
    {
      kind: "payload",
      payload: "response",
      alternatives: [{ type: StringValueSchema, path: [value], test: compare("paper") }],
    },
    {
      kind: "payload",
      payload: "error",
      alternatives: [
        {
          type: StatusSchema,
          path: [{ kind: "field", field: StatusSchema.field.message }],
          test: { kind: "wildcard", pieces: ["jam_", "%"], negated: false },
        },
      ],
    },
  ];
  const [done, , , , ...rest] = conditions;
  const combined =
    done === undefined
      ? []
      : rest.map((filter): OperationFilter[] => [
          { kind: "and", operands: [done, negated(filter)] },
          { kind: "or", operands: [negated(done), filter] },
        ]);
  return [
    ...conditions,
    ...conditions.map(negated),
    ...combined.flat(),
    { kind: "and", operands: [] },
    { kind: "or", operands: [] },
    { kind: "constant", value: true },
    { kind: "constant", value: false },
  ];
}

async function walk(
  store: OperationStore,
  parent: string,
  filter: OperationFilter | undefined,
): Promise<OperationRecord[]> {
  const found: OperationRecord[] = [];
  let after: Parameters<OperationStore["list"]>[0]["after"];
  do {
    const page = await store.list({ parent, principal: undefined, filter, after, limit: 3 });
    found.push(...page.records);
    after = page.next;
  } while (after !== undefined);
  return found;
}

/** Filters: every `OperationStore` must list the records that `matchesFilter` matches. */
export const filterCases: readonly ContractCase<OperationStore>[] = [
  contractCase(
    "server 48: lists what matches a filter of any kind, and nothing else",
    async (store) => {
      const parent = `projects/${crypto.randomUUID()}`;
      await fill(store, parent);
      const all = await walk(store, parent, undefined);
      assertSame(all.length, 10, "records in the list");
      for (const filter of filtersAbout(all)) {
        const expected = all.filter((record) => matchesFilter(filter, record));
        const found = await walk(store, parent, filter);
        const names = (records: readonly OperationRecord[]) =>
          records.map(({ name }) => name).join();
        assertSame(names(found), names(expected), `a list by ${shown(filter)}`);
      }
    },
  ),
  contractCase("lists by a filter only what is visible in the parent", async (store) => {
    const parent = `projects/${crypto.randomUUID()}`;
    await fill(store, parent);
    const [hidden] = await walk(store, parent, undefined);
    assertThat(hidden !== undefined, "the list has a record");
    await store.hide(hidden.name);
    const filter: OperationFilter = {
      kind: "or",
      operands: [
        { kind: "constant", value: true },
        { kind: "text", column: "name", operator: "=", value: hidden.name },
      ],
    };
    assertSame((await walk(store, parent, filter)).length, 9, "records that are left");
    const elsewhere = `${parent}/shelves/1`;
    assertSame((await walk(store, elsewhere, filter)).length, 0, "records of another parent");
  }),
];

/** Writes a filter for a message, with the names of its descriptors instead of the descriptors. */
function shown(filter: OperationFilter): string {
  return JSON.stringify(filter, (_key, value: unknown) =>
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    "kind" in value &&
    "proto" in value
      ? value.name
      : value,
  );
}
