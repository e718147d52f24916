import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StatusSchema } from "../../../src/protos.js";
import {
  matchesFilter,
  type OperationFilter,
  type OperationRecord,
  type OperationStore,
} from "../../../src/store/index.js";
import { negated } from "../../../src/store/operation-filter.js";
import { createSqliteStore } from "../../../src/store/sqlite/index.js";
import { anInsert } from "../../support/an-insert.js";
import { createTemporaryFolder } from "../../support/temporary-folder.js";
import { drivers } from "./drivers.js";

/** Names with characters that SQL, GLOB and the store's escaping interpret. */
const oddities = [
  "a",
  "B",
  "b",
  "\\",
  "\0",
  "\\0",
  "*",
  "?",
  "[a]",
  "%",
  "_",
  "'",
  "é",
  "🖨",
  "\uffee",
];
const methods = ["x.v1.X/Run", "x.v1.X/Stop", "x.v1.X/run"];
const parent = "filtered";

const failure = (code: Code) =>
  ({ kind: "error", value: toBinary(StatusSchema, create(StatusSchema, { code })) }) as const;

/** Operations in every state; all of them, newest first. */
async function fill(store: OperationStore): Promise<readonly OperationRecord[]> {
  let count = 0;
  for (const oddity of oddities) {
    for (const method of methods) {
      const name = `${parent}/operations/${oddity}${count}`;
      const metadata = count % 3 === 0 ? Uint8Array.of(0xff) : undefined;
      await store.insert(anInsert({ name, parent, method, metadata, retentionMs: 1e9 }));
      if (count % 5 > 0) await store.claim(name);
      if (count % 5 > 2) await store.requestCancel(name, failure(Code.Canceled));
      if (count % 5 > 1) {
        const codes = [Code.NotFound, Code.Aborted];
        const code = codes[count % 3];
        const value = Uint8Array.of();
        await store.finish(
          { name, attempt: 1 },
          code === undefined ? { kind: "response", value } : failure(code),
        );
      }
      count += 1;
    }
  }
  const page = { parent, principal: undefined, filter: undefined, after: undefined, limit: 1000 };
  return (await store.list(page)).records;
}

function aFilter(records: readonly OperationRecord[]): fc.Arbitrary<OperationFilter> {
  const comparator = fc.constantFrom("=" as const, "!=", "<", "<=", ">", ">=");
  const text = fc.constantFrom(...records.flatMap(({ name, method }) => [name, method, "m"]));
  const micros = fc
    .tuple(fc.constantFrom(...records), fc.constantFrom(-1, 0, 1))
    .map(([{ createTimeMicros, endTimeMicros }, by]) => (endTimeMicros ?? createTimeMicros) + by);
  const column = fc.oneof(
    fc.record({ kind: fc.constant("done" as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant("cancel-requested" as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant("constant" as const), value: fc.boolean() }),
    fc.record({
      kind: fc.constant("text" as const),
      column: fc.constantFrom("name" as const, "method" as const),
      operator: comparator,
      value: text,
    }),
    fc.record({
      kind: fc.constant("wildcard" as const),
      column: fc.constantFrom("name" as const, "method" as const),
      pieces: fc.array(fc.constantFrom("", "operations/", "1", "x.v1", ...oddities), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
    fc.record({
      kind: fc.constant("method-in" as const),
      methods: fc.subarray(methods),
    }),
    fc.record({
      kind: fc.constant("error-code" as const),
      operator: comparator,
      value: fc.constantFrom<number>(Code.Canceled, Code.NotFound, Code.Aborted),
    }),
    fc.record({
      kind: fc.constant("time" as const),
      column: fc.constantFrom("create_time" as const, "update_time", "end_time"),
      operator: comparator,
      micros,
    }),
    fc.record({
      kind: fc.constant("present" as const),
      column: fc.constantFrom("end_time" as const, "metadata", "response", "error"),
    }),
  );
  return fc.letrec<{ filter: OperationFilter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      column,
      tie("filter").map(negated),
      fc.record({
        kind: fc.constantFrom("and" as const, "or"),
        operands: fc.array(tie("filter"), { maxLength: 3 }),
      }),
    ),
  })).filter;
}

async function walk(
  store: OperationStore,
  filter: OperationFilter,
  limit: number,
): Promise<string[]> {
  const names: string[] = [];
  let after: OperationRecord | { createTimeMicros: number; name: string } | undefined;
  do {
    const page = await store.list({ parent, principal: undefined, filter, after, limit });
    expect(page.records.length).toBeLessThanOrEqual(limit);
    names.push(...page.records.map(({ name }) => name));
    after = page.next;
  } while (after !== undefined);
  return names;
}

describe.each(drivers)("a filtered list of a SQLite store by %s", (driver) => {
  it("shows what matchesFilter takes, page by page", async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const store = await createSqliteStore({ path, driver });
    const records = await fill(store);
    expect(records).toHaveLength(oddities.length * methods.length);
    await fc.assert(
      fc.asyncProperty(aFilter(records), fc.integer({ min: 1, max: 50 }), async (filter, limit) => {
        const expected = records.filter((record) => matchesFilter(filter, record));
        expect(await walk(store, filter, limit)).toEqual(expected.map(({ name }) => name));
      }),
      { numRuns: 400 },
    );
    await store.close();
  });

  it("reads a bounded number of records for a page, whatever the filter", async () => {
    const path = join(await createTemporaryFolder(), "operations.db");
    const store = await createSqliteStore({ path, driver });
    await store.transaction(async (transaction) => {
      for (let count = 0; count < 1500; count += 1) {
        await store.insert(anInsert({ parent, result: failure(Code.Aborted) }), { transaction });
      }
    });
    const filter = { kind: "error-code", operator: "=", value: Code.NotFound } as const;
    const query = { parent, principal: undefined, filter, limit: 10 };
    const first = await store.list({ ...query, after: undefined });
    expect(first.records).toEqual([]);
    expect(first.next).toBeDefined();
    expect(await store.list({ ...query, after: first.next })).toEqual({
      records: [],
      next: undefined,
    });
    await store.close();
  });
});
