import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import { pack } from "../../../src/index.js";
import { StatusSchema } from "../../../src/protos.js";
import type { OperationRecord, OperationStore } from "../../../src/store/index.js";
import { matchesFilter, type OperationFilter } from "../../../src/store/index.js";
import { negated } from "../../../src/store/operation-filter.js";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { BakeMetadataSchema } from "../../gen/filters/v1/filters_pb.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

const parent = "bakeries/7";
const ids = ["a", "ab", "a%", "a_b", "a\\b", "A", "é", "\uffee", "🖨", "*", "a'b"];
const methods = ["filters.v1.FilterService/Bake", "filters.v1.FilterService/Ship"];
const operators = ["=", "!=", "<", "<=", ">", ">="] as const;

function metadataOf(count: number): Uint8Array {
  return toBinary(AnySchema, pack(BakeMetadataSchema, { count }));
}

/** A condition that no database can decide. */
function countAbove(value: number): OperationFilter {
  const path = [{ kind: "field" as const, field: BakeMetadataSchema.field.count }];
  const test = { kind: "compare" as const, operator: ">" as const, value };
  return {
    kind: "payload",
    payload: "metadata",
    alternatives: [{ type: BakeMetadataSchema, path, test }],
  };
}

describe("a filter in SQL", () => {
  let database: TestDatabase;
  let store: OperationStore;
  /** All records, as the database lists them. */
  let records: readonly OperationRecord[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrate(database.pool);
    store = createPostgresStore({ pool: database.pool });
    for (const [at, id] of [...ids, ...ids.map((id) => `${id}2`)].entries()) {
      const name = `${parent}/operations/${id}`;
      await store.insert({
        name,
        parent,
        method: methods[at % methods.length] ?? "",
        principal: "",
        external: false,
        request: new Uint8Array(),
        metadata: at % 3 === 0 ? undefined : metadataOf(at % 5),
        result: undefined,
        retentionMs: 1_000_000,
        deadlineMs: undefined,
        resourceKey: undefined,
        requestId: undefined,
      });
      const claim = at % 2 === 0 ? await store.claim(name) : undefined;
      const cancelled = { kind: "error" as const, value: statusOf(Code.Canceled) };
      if (at % 5 === 0) await store.requestCancel(name, cancelled);
      if (claim === undefined || at % 4 !== 0) continue;
      const failure = { kind: "error" as const, value: statusOf(1 + (at % 8)) };
      const response = { kind: "response" as const, value: metadataOf(1) };
      await store.finish(claim, at % 8 === 0 ? failure : response);
    }
    records = await walk(undefined, 100);
  });

  function statusOf(code: number): Uint8Array {
    return toBinary(StatusSchema, create(StatusSchema, { code }));
  }

  /** All pages of a list. */
  async function walk(filter: OperationFilter | undefined, limit: number) {
    const found: OperationRecord[] = [];
    let after: Parameters<OperationStore["list"]>[0]["after"];
    do {
      const page = await store.list({ parent, principal: undefined, filter, after, limit });
      assert.ok(page.records.length <= limit);
      found.push(...page.records);
      after = page.next;
    } while (after !== undefined);
    return found;
  }

  const time = () =>
    fc
      .tuple(fc.nat(), fc.integer({ min: -1, max: 1 }))
      .map(([at, shift]) => (records[at % records.length]?.createTimeMicros ?? 0) + shift);
  const text = () =>
    fc
      .constantFrom(...ids)
      .chain((id) => fc.constantFrom(`${parent}/operations/${id}`, id, parent, ...methods));
  const column = fc.constantFrom("name" as const, "method" as const);
  const operator = fc.constantFrom(...operators);

  const aFilter = (): fc.Arbitrary<OperationFilter> =>
    fc.letrec<{ filter: OperationFilter }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        fc.record({ kind: fc.constant("done" as const), value: fc.boolean() }),
        fc.record({ kind: fc.constant("cancel-requested" as const), value: fc.boolean() }),
        fc.record({ kind: fc.constant("constant" as const), value: fc.boolean() }),
        fc.record({ kind: fc.constant("text" as const), column, operator, value: text() }),
        fc.record({
          kind: fc.constant("wildcard" as const),
          column,
          pieces: fc.array(fc.constantFrom("", "a", "%", "_", "\\", "b", parent, ".v1."), {
            minLength: 1,
            maxLength: 3,
          }),
        }),
        fc.record({ kind: fc.constant("method-in" as const), methods: fc.subarray(methods) }),
        fc.record({
          kind: fc.constant("error-code" as const),
          operator,
          value: fc.integer({ min: 1, max: 8 }),
        }),
        fc.record({
          kind: fc.constant("time" as const),
          column: fc.constantFrom(
            "create_time" as const,
            "update_time" as const,
            "end_time" as const,
          ),
          operator,
          micros: time(),
        }),
        fc.record({
          kind: fc.constant("present" as const),
          column: fc.constantFrom(
            "end_time" as const,
            "metadata" as const,
            "response" as const,
            "error" as const,
          ),
        }),
        fc.integer({ min: -1, max: 4 }).map(countAbove),
        tie("filter").map(negated),
        fc.record({
          kind: fc.constantFrom("and" as const, "or" as const),
          operands: fc.array(tie("filter"), { maxLength: 3 }),
        }),
      ),
    })).filter;

  it("server 45: lists what matchesFilter takes, whatever the filter and the page", async () => {
    const names = (found: readonly OperationRecord[]) => found.map(({ name }) => name);
    await fc.assert(
      fc.asyncProperty(aFilter(), fc.integer({ min: 1, max: 12 }), async (filter, limit) => {
        const expected = records.filter((record) => matchesFilter(filter, record));
        assert.deepEqual(names(await walk(filter, limit)), names(expected));
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it("takes times beyond those that a database can hold", async () => {
    for (const [micros, count] of [
      [Number.MAX_SAFE_INTEGER, records.length],
      [-Number.MAX_SAFE_INTEGER, 0],
      [Date.UTC(9999, 11, 31) * 1000, records.length],
      [Date.UTC(1, 0, 1) * 1000, 0],
    ] as const) {
      const filter: OperationFilter = {
        kind: "time",
        column: "update_time",
        operator: "<",
        micros,
      };
      assert.equal((await walk(filter, 100)).length, count, String(micros));
    }
  });

  it("reads a bounded number of payloads for a page, and says where to go on", async () => {
    const crowded = "bakeries/8";
    await database.pool.query(
      `insert into longrunning.operations
        (name, parent, method, principal, external, state, request, metadata, retention_ms, create_time, update_time)
      select $1 || '/operations/' || lpad(n::text, 6, '0'), $1, 'm', '', false, 'queued', '', $2, 1000,
        clock_timestamp() - n * interval '1 second', clock_timestamp()
      from generate_series(1, 2500) n`,
      [crowded, metadataOf(1)],
    );
    const query = { parent: crowded, principal: undefined, filter: countAbove(1), limit: 10 };
    const page = await store.list({ ...query, after: undefined });
    assert.deepEqual(page.records, []);
    assert.equal(page.next?.name, `${crowded}/operations/001000`);
    const second = await store.list({ ...query, after: page.next });
    assert.deepEqual(second.records, []);
    assert.deepEqual(await store.list({ ...query, after: second.next }), {
      records: [],
      next: undefined,
    });
  });
});
