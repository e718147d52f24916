import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createTimeRange,
  type FilterableRecord,
  matchesFilter,
  type OperationFilter,
  requiredDone,
} from "../../src/store/index.js";
import { negated } from "../../src/store/operation-filter.js";
import { BakeMetadataSchema } from "../gen/filters/v1/filters_pb.js";
import { aRecord, baked, baking, failed } from "../support/filter-record.js";

const done = (value: boolean): OperationFilter => ({ kind: "done", value });
const created = (
  operator: "=" | "!=" | "<" | "<=" | ">" | ">=",
  micros: number,
): OperationFilter => ({
  kind: "time",
  column: "create_time",
  operator,
  micros,
});
const and = (...operands: OperationFilter[]): OperationFilter => ({ kind: "and", operands });
const or = (...operands: OperationFilter[]): OperationFilter => ({ kind: "or", operands });
const not = negated;
const errorCode: OperationFilter = { kind: "error-code", operator: "!=", value: 5 };
const count: OperationFilter = {
  kind: "payload",
  payload: "metadata",
  alternatives: [
    {
      type: BakeMetadataSchema,
      path: [{ kind: "field", field: BakeMetadataSchema.field.count }],
      test: { kind: "compare", operator: ">", value: 3 },
    },
  ],
};

/** A record that tells how often its metadata is read. */
function counted(record: FilterableRecord): { record: FilterableRecord; reads: () => number } {
  let reads = 0;
  const watched = {
    ...record,
    get metadata() {
      reads += 1;
      return record.metadata;
    },
  };
  return { record: watched, reads: () => reads };
}

describe("matchesFilter", () => {
  it("has all of no conditions true and one of no conditions false", () => {
    expect(matchesFilter(and(), aRecord())).toBe(true);
    expect(matchesFilter(or(), aRecord())).toBe(false);
  });

  it("evaluates a condition on an absent field to false, and its NOT to true", () => {
    const ended: OperationFilter = { kind: "time", column: "end_time", operator: "!=", micros: 1 };
    for (const condition of [ended, errorCode, count]) {
      expect(matchesFilter(condition, aRecord())).toBe(false);
      expect(matchesFilter(not(condition), aRecord())).toBe(true);
    }
    expect(matchesFilter(errorCode, failed({ code: 3 }))).toBe(true);
  });

  it("reads no payload where a column has settled the answer", () => {
    const { record, reads } = counted(baking({ count: 7 }));
    expect(matchesFilter(and(done(true), count), record)).toBe(false);
    expect(matchesFilter(or(done(false), count), record)).toBe(true);
    expect(reads()).toBe(0);
    expect(matchesFilter(and(done(false), count), record)).toBe(true);
    expect(reads()).toBeGreaterThan(0);
  });

  it("matches no payload of a method whose type has another name", () => {
    expect(matchesFilter(count, baking({ count: 7 }))).toBe(true);
    const { result } = baked({ loaves: 7 });
    expect(matchesFilter(count, aRecord({ metadata: result?.value }))).toBe(false);
  });
});

describe("requiredDone", () => {
  it.each<[string, OperationFilter, boolean | undefined]>([
    ["done", done(true), true],
    ["NOT done", not(done(true)), false],
    ["one of several that all must hold", and(count, done(false)), false],
    ["one of several of which one must hold", or(count, done(false)), undefined],
    ["the same on both sides of an OR", or(and(count, done(true)), errorCode), true],
    ["an end", { kind: "present", column: "end_time" }, true],
    ["NOT of an end", not({ kind: "present", column: "end_time" }), undefined],
    ["an error", errorCode, true],
    ["a response", { kind: "present", column: "response" }, true],
    ["metadata", count, undefined],
    ["NOT of a disjunction", not(or(done(true), count)), false],
    ["both", and(done(true), done(false)), undefined],
    ["nothing", and(), undefined],
  ])("knows what %s asks for", (_, filter, expected) => {
    expect(requiredDone(filter)).toBe(expected);
  });
});

describe("createTimeRange", () => {
  const least = Number.NEGATIVE_INFINITY;
  const most = Number.POSITIVE_INFINITY;
  it.each<[string, OperationFilter, { least: number; most: number }]>([
    ["=", created("=", 5), { least: 5, most: 5 }],
    ["<", created("<", 5), { least, most: 4 }],
    [">", created(">", 5), { least: 6, most }],
    ["two ends", and(created(">=", 5), created("<=", 7), count), { least: 5, most: 7 }],
    ["NOT", not(created("<", 5)), { least: 5, most }],
    ["a negated OR", not(or(created("<", 5), created(">", 7))), { least: 5, most: 7 }],
    ["OR", or(created("=", 5), created("=", 7)), { least: 5, most: 7 }],
    ["OR with another", or(created("=", 5), count), { least, most }],
    ["another column", done(true), { least, most }],
  ])("knows the bounds of %s", (_, filter, expected) => {
    expect(createTimeRange(filter)).toEqual(expected);
  });
});

/** Filters over every kind of record below. */
const aFilter = (): fc.Arbitrary<OperationFilter> => {
  const leaf = fc.oneof(
    fc.boolean().map(done),
    fc
      .tuple(fc.constantFrom("=", "!=", "<", "<=", ">", ">="), fc.integer({ min: 0, max: 4 }))
      .map(([operator, micros]) => created(operator, micros)),
    fc.constantFrom<OperationFilter>(
      errorCode,
      count,
      { kind: "cancel-requested", value: true },
      { kind: "text", column: "name", operator: "<", value: "bakeries/8" },
      { kind: "wildcard", column: "method", pieces: ["filters.", "Bake"] },
      { kind: "method-in", methods: ["filters.v1.FilterService/Ship"] },
      { kind: "present", column: "end_time" },
      { kind: "present", column: "response" },
      { kind: "time", column: "end_time", operator: ">", micros: 3 },
      { kind: "constant", value: false },
    ),
  );
  const { tree } = fc.letrec<{ tree: OperationFilter }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, depthIdentifier: "bounds" },
      leaf,
      tie("tree").map(not),
      fc.array(tie("tree"), { maxLength: 3 }).map((operands) => and(...operands)),
      fc.array(tie("tree"), { maxLength: 3 }).map((operands) => or(...operands)),
    ),
  }));
  return tree;
};

const aSubject = fc
  .tuple(
    fc.constantFrom(aRecord(), baking({ count: 7 }), failed({ code: 3 }), baked({})),
    fc.integer({ min: 0, max: 4 }),
  )
  .map(([record, createTimeMicros]) => ({ ...record, createTimeMicros }));

describe("negated", () => {
  it("complements the filter, and applies NOT to single conditions only", () => {
    fc.assert(
      fc.property(aFilter(), aSubject, (filter, record) => {
        expect(matchesFilter(negated(filter), record)).toBe(!matchesFilter(filter, record));
        expect(negated(negated(filter))).toEqual(filter);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("requiredDone and createTimeRange", () => {
  it("leave out no record that matches", () => {
    fc.assert(
      fc.property(aFilter(), aSubject, (filter, record) => {
        fc.pre(matchesFilter(filter, record));
        const isDone = record.state === "done";
        expect(requiredDone(filter) ?? isDone).toBe(isDone);
        const range = createTimeRange(filter);
        expect(range.least).toBeLessThanOrEqual(record.createTimeMicros);
        expect(range.most).toBeGreaterThanOrEqual(record.createTimeMicros);
      }),
      { numRuns: 3000 },
    );
  });
});
