import fc from "fast-check";
import type {
  InsertOutcome,
  NewOperation,
  OperationRecord,
  OperationStore,
  ParallelPolicy,
  StoredResult,
} from "../../src/store/index.js";

/** One call of a history, as data. Names and keys are few, so that calls meet. */
export type Call =
  | { readonly kind: "insert"; readonly operation: NewOperation; readonly parallel: ParallelPolicy }
  | { readonly kind: "claim"; readonly name: string; readonly restartLost: boolean }
  | { readonly kind: "get"; readonly name: string }
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
    ["a", "b", "c\\"].map((id) =>
      parent === "" ? `operations/${id}` : `${parent}/operations/${id}`,
    ),
  ),
);
const attempt = fc.integer({ min: 0, max: 3 });
/**
 * At once, or never as far as a test goes, as two stores may go by different clocks. The longest
 * ends after the last time that a number of microseconds holds exactly.
 */
const soonOrNever = fc.constantFrom(0, yearMs, 9.1e12);
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
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      name,
      restartLost: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("get" as const), name }),
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

/** Some calls, one after the other. */
export const history = fc.array(call, { minLength: 5, maxLength: 30 });

/** The last time that a number of microseconds holds exactly. */
const lastMicros = Number.MAX_SAFE_INTEGER;

/** A record without what differs from clock to clock. */
function timeless(record: OperationRecord | undefined) {
  if (record === undefined) return undefined;
  const { createTimeMicros, updateTimeMicros, endTimeMicros, expireTimeMicros, ...rest } = record;
  const keptMicros = (expireTimeMicros ?? 0) - (endTimeMicros ?? 0);
  return {
    ...rest,
    isUpdated: updateTimeMicros > createTimeMicros,
    deadlineTimeMicros: record.deadlineTimeMicros !== undefined,
    cancelRequestTimeMicros: record.cancelRequestTimeMicros !== undefined,
    deleteTimeMicros: record.deleteTimeMicros !== undefined,
    keptMicros: expireTimeMicros === lastMicros ? lastMicros : keptMicros,
  };
}

/**
 * A store's result of a call, to compare two stores. If both use the same
 * clock, all times are part of it.
 */
export async function answer(
  store: OperationStore,
  made: Call,
  clocks: "same" | "different",
): Promise<unknown> {
  const show = (record: OperationRecord | undefined) =>
    clocks === "same" ? record : timeless(record);
  const byName = (records: readonly OperationRecord[]) =>
    records.toSorted((one, other) => (one.name < other.name ? -1 : 1)).map(show);
  const shownOutcome = (outcome: InsertOutcome) => {
    if (outcome.kind === "duplicate") return { ...outcome, record: show(outcome.record) };
    if (outcome.kind !== "inserted") return outcome;
    const { kind, record, preempted: ended } = outcome;
    const isEndedBefore = ended.every(
      (each) => (each.endTimeMicros ?? 0) <= record.createTimeMicros,
    );
    return { kind, record: show(record), preempted: byName(ended), isEndedBefore };
  };
  switch (made.kind) {
    case "insert":
      return shownOutcome(await store.insert(made.operation, { parallel: made.parallel }));
    case "claim":
      return show(await store.claim(made.name, { restartLost: made.restartLost }));
    case "get":
      return show(await store.get(made.name));
    case "look":
      return show(await store.look(made));
    case "report":
      return show(await store.report(made, { checkpoint: Uint8Array.of(made.attempt) }));
    case "finish":
      return show(await store.finish(made, response, { metadata: Uint8Array.of(9) }));
    case "release":
      return show(await store.release(made, made.handover, cancelled));
    case "cancel":
      return show(await store.requestCancel(made.name, cancelled, { graceMs: made.graceMs }));
    case "hide":
      return show(await store.hide(made.name, { onlyDone: made.onlyDone }));
    case "unblock":
      return show(await store.unblock(made.resourceKey));
    case "end-overdue": {
      const results = { deadlineExceeded: overdue, cancelled };
      const { ended, nextDeadlineMicros } = await store.endOverdue(results, 100);
      const next = clocks === "same" ? nextDeadlineMicros : nextDeadlineMicros !== undefined;
      return { ended: byName(ended), next };
    }
    case "expire":
      return store.expire(100);
    case "unfinished": {
      const page = await store.unfinished({ after: undefined, limit: 100 });
      return page.records.map(show);
    }
    case "list": {
      const { parent, principal: of } = made;
      const query = { parent, principal: of, filter: undefined, after: undefined, limit: 100 };
      const { records, next } = await store.list(query);
      return { records: records.map(show), next };
    }
  }
}
