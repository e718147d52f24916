import assert from "node:assert/strict";
import fc from "fast-check";
import { beforeAll, describe, it } from "vitest";
import {
  createMemoryStore,
  type InsertOutcome,
  type NewOperation,
  type OperationRecord,
  type OperationStore,
  type ParallelPolicy,
  type StoredResult,
} from "../../../src/store/index.js";
import { createPostgresStore, migrate } from "../../../src/store/postgres/index.js";
import { createTestDatabase, type TestDatabase } from "../../support/postgres/test-database.js";

/** One call of a history, as data. Names and keys are few, so that calls meet. */
type Call =
  | { readonly kind: "insert"; readonly operation: NewOperation; readonly parallel: ParallelPolicy }
  | { readonly kind: "claim" | "get"; readonly name: string }
  | { readonly kind: "report" | "finish" | "look"; readonly name: string; readonly attempt: number }
  | {
      readonly kind: "release";
      readonly name: string;
      readonly attempt: number;
      readonly handover: boolean;
    }
  | { readonly kind: "cancel"; readonly name: string; readonly graceMs: number | undefined }
  | { readonly kind: "hide"; readonly name: string; readonly onlyDone: boolean }
  | { readonly kind: "unblock"; readonly resourceKey: string }
  | { readonly kind: "end-overdue" | "expire" | "unfinished" }
  | { readonly kind: "list"; readonly parent: string; readonly principal: string | undefined };

const yearMs = 365 * 24 * 60 * 60 * 1000;
const response: StoredResult = { kind: "response", value: Uint8Array.of(1) };
const cancelled: StoredResult = { kind: "error", value: Uint8Array.of(2) };
const overdue: StoredResult = { kind: "error", value: Uint8Array.of(3) };
const preempted: StoredResult = { kind: "error", value: Uint8Array.of(4) };

const parents = ["", "shelves/1"];
const name = fc.constantFrom(
  ...parents.flatMap((parent) =>
    ["a", "b", "c"].map((id) =>
      parent === "" ? `operations/${id}` : `${parent}/operations/${id}`,
    ),
  ),
);
const attempt = fc.integer({ min: 0, max: 3 });
/** At once, or never as far as a test goes: the two stores' clocks are not the same. */
const soonOrNever = fc.constantFrom(0, yearMs);
const principal = fc.constantFrom("ann", "bob");
const resourceKey = fc.constantFrom("r", "s");

const operation: fc.Arbitrary<NewOperation> = fc.record({
  name,
  parent: fc.constant(""),
  method: fc.constant("test.v1.Service/M"),
  principal,
  external: fc.boolean(),
  request: fc.uint8Array({ maxLength: 3 }),
  metadata: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined }),
  result: fc.option(fc.constant(response), { nil: undefined, freq: 8 }),
  retentionMs: soonOrNever,
  deadlineMs: fc.option(soonOrNever, { nil: undefined }),
  resourceKey: fc.option(resourceKey, { nil: undefined }),
  requestId: fc.option(
    fc.record(
      {
        scope: fc.constantFrom("x", "y"),
        id: fc.constantFrom("1", "2"),
        fingerprint: fc.uint8Array({ maxLength: 2 }),
        windowMs: soonOrNever,
      },
      { noNullPrototype: true },
    ),
    { nil: undefined },
  ),
});

const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("insert" as const),
      operation: operation.map((made) => ({
        ...made,
        parent: made.name.startsWith("shelves/") ? "shelves/1" : "",
      })),
      parallel: fc.constantFrom<ParallelPolicy>(
        { kind: "queue" },
        { kind: "refuse" },
        { kind: "preempt", result: preempted },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("claim" as const, "get" as const), name }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("report" as const, "finish" as const, "look" as const),
      name,
      attempt,
    }),
  },
  fc.record({ kind: fc.constant("release" as const), name, attempt, handover: fc.boolean() }),
  fc.record({
    kind: fc.constant("cancel" as const),
    name,
    graceMs: fc.option(soonOrNever, { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("hide" as const), name, onlyDone: fc.boolean() }),
  fc.record({ kind: fc.constant("unblock" as const), resourceKey }),
  fc.record({
    kind: fc.constantFrom("end-overdue" as const, "expire" as const, "unfinished" as const),
  }),
  fc.record({
    kind: fc.constant("list" as const),
    parent: fc.constantFrom(...parents),
    principal: fc.option(principal, { nil: undefined }),
  }),
);

/** A record without what differs from clock to clock. */
function timeless(record: OperationRecord | undefined) {
  if (record === undefined) return undefined;
  const { createTimeMicros, updateTimeMicros, endTimeMicros, expireTimeMicros, ...rest } = record;
  return {
    ...rest,
    isUpdated: updateTimeMicros > createTimeMicros,
    deadlineTimeMicros: record.deadlineTimeMicros !== undefined,
    cancelRequestTimeMicros: record.cancelRequestTimeMicros !== undefined,
    deleteTimeMicros: record.deleteTimeMicros !== undefined,
    keptMicros:
      expireTimeMicros !== undefined ? expireTimeMicros - (endTimeMicros ?? 0) : undefined,
  };
}

function timelessOutcome(outcome: InsertOutcome) {
  if (outcome.kind === "duplicate") return { ...outcome, record: timeless(outcome.record) };
  if (outcome.kind !== "inserted") return outcome;
  const { record, preempted: ended } = outcome;
  return { kind: outcome.kind, record: timeless(record), preempted: byName(ended) };
}

function byName(records: readonly OperationRecord[]) {
  return records
    .map(timeless)
    .sort((one, other) => ((one?.name ?? "") < (other?.name ?? "") ? -1 : 1));
}

async function answer(store: OperationStore, made: Call): Promise<unknown> {
  switch (made.kind) {
    case "insert":
      return timelessOutcome(await store.insert(made.operation, { parallel: made.parallel }));
    case "claim":
      return timeless(await store.claim(made.name));
    case "get":
      return timeless(await store.get(made.name));
    case "look":
      return timeless(await store.look(made));
    case "report":
      return timeless(await store.report(made, { checkpoint: Uint8Array.of(made.attempt) }));
    case "finish":
      return timeless(await store.finish(made, response, { metadata: Uint8Array.of(9) }));
    case "release":
      return timeless(await store.release(made, made.handover, cancelled));
    case "cancel":
      return timeless(await store.requestCancel(made.name, cancelled, { graceMs: made.graceMs }));
    case "hide":
      return timeless(await store.hide(made.name, { onlyDone: made.onlyDone }));
    case "unblock":
      return timeless(await store.unblock(made.resourceKey));
    case "end-overdue": {
      const results = { deadlineExceeded: overdue, cancelled };
      const { ended, nextDeadlineMicros } = await store.endOverdue(results, 100);
      return { ended: byName(ended), isMoreToCome: nextDeadlineMicros !== undefined };
    }
    case "expire":
      return store.expire(100);
    case "unfinished": {
      const page = await store.unfinished({ after: undefined, limit: 100 });
      return page.records.map(timeless);
    }
    case "list": {
      const { parent, principal: of } = made;
      const query = { parent, principal: of, filter: undefined, after: undefined, limit: 100 };
      const { records, next } = await store.list(query);
      return { records: records.map(timeless), next };
    }
  }
}

describe("OperationStore in PostgreSQL and in memory", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
    await migrate(database.pool);
  });

  it("durability I11: give the same answers to the same history", async () => {
    const history = fc.array(call, { minLength: 5, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(history, async (calls) => {
        await database.pool.query("truncate longrunning.operations");
        const inPostgres = createPostgresStore({ pool: database.pool });
        const inMemory = createMemoryStore();
        for (const [at, made] of calls.entries()) {
          const expected = await answer(inMemory, made);
          assert.deepEqual(await answer(inPostgres, made), expected, `call ${at}: ${made.kind}`);
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
