import type { MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseFilter } from "../../../src/server/filter/parse-filter.js";
import { type FilterableRecord, matchesFilter } from "../../../src/store/index.js";
import { BakeMetadata_Stage, type BakeMetadataSchema } from "../../gen/filters/v1/filters_pb.js";
import {
  aRecord,
  baking,
  createTimeMicros,
  failed,
  filterMethods,
  shipping,
} from "../../support/filter-record.js";

/*
 * An evaluator of its own over plain values, which shares nothing with the real one: no
 * grammar, no descriptors, no data form. Its filters are objects; their text is what the
 * real one reads.
 */

/** A record as plain values. */
interface Plain {
  name: string;
  endTimeMicros: number | undefined;
  isCancelRequested: boolean;
  errorCode: number | undefined;
  payload:
    | { kind: "none" }
    | { kind: "bake"; bake: Bake }
    | { kind: "ship"; state: string; carrier: string };
}

interface Bake {
  baker: string;
  count: number;
  grams: bigint;
  degrees: number;
  isHot: boolean;
  stage: keyof typeof stages;
  loaf: { number: number; below: { flour: string } | undefined } | undefined;
  tags: string[];
  loaves: { number: number }[];
  labels: Record<string, string>;
  hotSinceNanos: bigint | undefined;
  remainingMs: number | undefined;
  rating: number | undefined;
  state: number;
}

const stages = {
  STAGE_UNSPECIFIED: BakeMetadata_Stage.STAGE_UNSPECIFIED,
  MIXING: BakeMetadata_Stage.MIXING,
  BAKING: BakeMetadata_Stage.BAKING,
};

type Value = string | number | bigint | boolean;

/** A field by its path, a record's values at the path, and the values to compare with. */
interface Field {
  path: string;
  valuesOf: (plain: Plain) => Value[];
  operators: readonly string[];
  literal: fc.Arbitrary<{ text: string; value: Value }>;
}

type Model =
  | { kind: "and" | "or"; operands: Model[]; word: string }
  | { kind: "not"; operand: Model; word: string }
  | { kind: "compare"; field: Field; operator: string; literal: { text: string; value: Value } };

const ordered = ["=", "!=", "<", "<=", ">", ">=", ":"];
const unordered = ["=", "!=", ":"];

const shortText = () => fc.string({ unit: fc.constantFrom("a", "b", "\uffee", "🖨"), maxLength: 3 });
const quotedText = () => shortText().map((value) => ({ text: JSON.stringify(value), value }));
/** Text with wildcards, which only equality respects. */
const pattern = () =>
  fc
    .string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 4 })
    .map((value) => ({ text: `'${value}'`, value }));
const integer = () => fc.integer({ min: -3, max: 3 });
const plainInteger = () => integer().map((value) => ({ text: String(value), value }));
const nearNanos = () =>
  fc.bigInt(-2001n, 2001n).map((nanos) => BigInt(createTimeMicros) * 1000n + nanos);

/** RFC 3339 text of a time, at an offset. */
function timeText(nanos: bigint, offsetMinutes: number): string {
  const wallMs = Number(nanos / 1_000_000_000n) * 1000 + offsetMinutes * 60_000;
  const wall = new Date(wallMs).toISOString().slice(0, 19);
  const fraction = String(nanos % 1_000_000_000n).padStart(9, "0");
  const size = Math.abs(offsetMinutes);
  const clock = [Math.floor(size / 60), size % 60].map((part) => String(part).padStart(2, "0"));
  return `${wall}.${fraction}${offsetMinutes < 0 ? "-" : "+"}${clock.join(":")}`;
}

const time = () =>
  fc
    .tuple(nearNanos(), fc.integer({ min: -720, max: 720 }), fc.boolean())
    .map(([value, offset, isQuoted]) => {
      const text = timeText(value, offset);
      return { text: isQuoted ? `"${text}"` : text, value };
    });

const fromBake = (read: (bake: Bake) => Value[]) => (plain: Plain) =>
  plain.payload.kind === "bake" ? read(plain.payload.bake) : [];

const fields: Field[] = [
  {
    path: "name",
    valuesOf: ({ name }) => [name],
    operators: ordered,
    literal: fc.oneof(quotedText(), pattern()),
  },
  {
    path: "done",
    valuesOf: ({ errorCode, endTimeMicros }) => [
      errorCode !== undefined || endTimeMicros !== undefined,
    ],
    operators: unordered,
    literal: fc.boolean().map((value) => ({ text: String(value), value })),
  },
  {
    path: "cancel_requested",
    valuesOf: ({ isCancelRequested }) => [isCancelRequested],
    operators: unordered,
    literal: fc.boolean().map((value) => ({ text: `"${value}"`, value })),
  },
  {
    path: "end_time",
    valuesOf: ({ endTimeMicros }) =>
      endTimeMicros === undefined ? [] : [BigInt(endTimeMicros) * 1000n],
    operators: ordered,
    literal: time(),
  },
  {
    path: "error.code",
    valuesOf: ({ errorCode }) => (errorCode === undefined ? [] : [errorCode]),
    operators: ordered,
    literal: fc.integer({ min: 1, max: 5 }).map((value) => ({ text: String(value), value })),
  },
  {
    path: "metadata.baker",
    valuesOf: fromBake(({ baker }) => [baker]),
    operators: ordered,
    literal: fc.oneof(quotedText(), pattern()),
  },
  {
    path: "metadata.count",
    valuesOf: fromBake(({ count }) => [count]),
    operators: ordered,
    literal: plainInteger(),
  },
  {
    path: "metadata.grams",
    valuesOf: fromBake(({ grams }) => [grams]),
    operators: ordered,
    literal: fc
      .bigInt(2n ** 53n - 2n, 2n ** 53n + 3n)
      .map((value) => ({ text: String(value), value })),
  },
  {
    path: "metadata.degrees",
    valuesOf: fromBake(({ degrees }) => [degrees]),
    operators: ordered,
    literal: fc.constantFrom(-0.5, 0, 1.5, 2e30).map((value) => ({ text: String(value), value })),
  },
  {
    path: "metadata.is_hot",
    valuesOf: fromBake(({ isHot }) => [isHot]),
    operators: unordered,
    literal: fc.boolean().map((value) => ({ text: String(value), value })),
  },
  {
    path: "metadata.stage",
    valuesOf: fromBake(({ stage }) => [stage]),
    operators: unordered,
    literal: fc
      .constantFrom("STAGE_UNSPECIFIED", "MIXING", "BAKING")
      .map((value) => ({ text: value, value })),
  },
  {
    path: "metadata.loaf.number",
    valuesOf: fromBake(({ loaf }) => (loaf === undefined ? [] : [loaf.number])),
    operators: ordered,
    literal: plainInteger(),
  },
  {
    path: "metadata.loaf.below.flour",
    valuesOf: fromBake(({ loaf }) => (loaf?.below === undefined ? [] : [loaf.below.flour])),
    operators: ordered,
    literal: quotedText(),
  },
  {
    path: "metadata.tags",
    valuesOf: fromBake(({ tags }) => tags),
    operators: [":"],
    literal: fc.oneof(quotedText(), pattern()),
  },
  {
    path: "metadata.loaves.number",
    valuesOf: fromBake(({ loaves }) => loaves.map(({ number }) => number)),
    operators: [":"],
    literal: plainInteger(),
  },
  {
    path: 'metadata.labels."é"',
    valuesOf: fromBake(({ labels }) => (labels.é === undefined ? [] : [labels.é])),
    operators: ordered,
    literal: quotedText(),
  },
  {
    path: "metadata.hot_since",
    valuesOf: fromBake(({ hotSinceNanos }) => (hotSinceNanos === undefined ? [] : [hotSinceNanos])),
    operators: ordered,
    literal: time(),
  },
  {
    path: "metadata.remaining",
    valuesOf: fromBake(({ remainingMs }) => (remainingMs === undefined ? [] : [remainingMs])),
    operators: ordered,
    literal: integer().map((value) => ({ text: `${value / 1000}s`, value })),
  },
  {
    path: "metadata.rating",
    valuesOf: fromBake(({ rating }) => [rating ?? 0]),
    operators: ordered,
    literal: plainInteger(),
  },
  {
    path: "metadata.carrier",
    valuesOf: ({ payload }) => (payload.kind === "ship" ? [payload.carrier] : []),
    operators: ordered,
    literal: quotedText(),
  },
];

/** The field has two types: a number in one payload and a string in the other. */
const statePath = "metadata.state";
const stateField: Field = {
  path: statePath,
  valuesOf: ({ payload }) => {
    if (payload.kind === "none") return [];
    return [payload.kind === "bake" ? payload.bake.state : payload.state];
  },
  operators: ["=", "!="],
  literal: fc.integer({ min: 0, max: 2 }).map((value) => ({ text: String(value), value })),
};

function aModel(): fc.Arbitrary<Model> {
  const compare = fc.constantFrom(...fields, stateField).chain((field) =>
    fc.record({
      kind: fc.constant("compare" as const),
      field: fc.constant(field),
      operator: fc.constantFrom(...field.operators),
      literal: field.literal,
    }),
  );
  return fc.letrec<{ tree: Model }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, depthIdentifier: "model" },
      compare,
      fc.record({
        kind: fc.constant("not" as const),
        operand: tie("tree"),
        word: fc.constantFrom("NOT ", "-"),
      }),
      fc.record({
        kind: fc.constant("and" as const),
        operands: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
        word: fc.constantFrom(" ", " AND "),
      }),
      fc.record({
        kind: fc.constant("or" as const),
        operands: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
        word: fc.constant(" OR "),
      }),
    ),
  })).tree;
}

/** Writes only the parentheses that the precedence of OR over AND requires. */
function textOf(model: Model): string {
  switch (model.kind) {
    case "compare":
      return `${model.field.path}${model.operator}${model.literal.text}`;
    case "not": {
      const text = textOf(model.operand);
      return model.word + (model.operand.kind === "compare" ? text : `(${text})`);
    }
    case "or":
      return model.operands
        .map((operand) =>
          operand.kind === "and" || operand.kind === "or"
            ? `(${textOf(operand)})`
            : textOf(operand),
        )
        .join(model.word);
    case "and":
      return model.operands
        .map((operand) => (operand.kind === "and" ? `(${textOf(operand)})` : textOf(operand)))
        .join(model.word);
  }
}

function naively(model: Model, plain: Plain): boolean {
  switch (model.kind) {
    case "and":
      return !model.operands.some((operand) => !naively(operand, plain));
    case "or":
      return model.operands.some((operand) => naively(operand, plain));
    case "not":
      return naively(model.operand, plain) === false;
    case "compare":
      return model.field
        .valuesOf(plain)
        .some((value) => stands(value, model.operator, model.literal.value));
  }
}

function stands(value: Value, operator: string, literal: Value): boolean {
  // The two types of `state`.
  const given = typeof value === "string" ? String(literal) : literal;
  const isEqual =
    typeof value === "string" && typeof given === "string"
      ? new RegExp(`^${given.replaceAll("*", ".*")}$`, "su").test(value)
      : value === given;
  // NaN has no order.
  if (Number.isNaN(value)) return operator === "!=";
  const bytes = (part: Value) => Buffer.from(String(part));
  const order =
    typeof value === "string"
      ? Buffer.compare(bytes(value), bytes(given))
      : value < given
        ? -1
        : value > given
          ? 1
          : 0;
  if (operator === "=" || operator === ":") return isEqual;
  if (operator === "!=") return !isEqual;
  if (operator === "<") return order < 0;
  if (operator === "<=") return order <= 0;
  return operator === ">" ? order > 0 : order >= 0;
}

const orNothing = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const aBake: fc.Arbitrary<Bake> = fc.record({
  baker: shortText(),
  count: integer(),
  grams: fc.bigInt(2n ** 53n - 2n, 2n ** 53n + 3n),
  degrees: fc.constantFrom(-0.5, 0, 1.5, 2e30, Number.NaN),
  isHot: fc.boolean(),
  stage: fc.constantFrom("STAGE_UNSPECIFIED", "MIXING", "BAKING"),
  loaf: orNothing(
    fc.record({ number: integer(), below: orNothing(fc.record({ flour: shortText() })) }),
  ),
  tags: fc.array(shortText(), { maxLength: 2 }),
  loaves: fc.array(fc.record({ number: integer() }), { maxLength: 2 }),
  labels: fc.dictionary(fc.constantFrom("é", "b"), shortText()),
  hotSinceNanos: orNothing(nearNanos()),
  remainingMs: orNothing(integer()),
  rating: orNothing(integer()),
  state: fc.integer({ min: 0, max: 2 }),
});

const aPlain: fc.Arbitrary<Plain> = fc.record({
  name: shortText(),
  endTimeMicros: orNothing(fc.integer({ min: createTimeMicros - 2, max: createTimeMicros + 2 })),
  isCancelRequested: fc.boolean(),
  errorCode: orNothing(fc.integer({ min: 1, max: 5 })),
  payload: fc.oneof(
    fc.constant({ kind: "none" as const }),
    fc.record({
      kind: fc.constant("ship" as const),
      state: fc.constantFrom("0", "1", "x"),
      carrier: shortText(),
    }),
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("bake" as const), bake: aBake }) },
  ),
});

function messageOf(bake: Bake): MessageInitShape<typeof BakeMetadataSchema> {
  const { stage, hotSinceNanos, remainingMs, ...same } = bake;
  return {
    ...same,
    stage: stages[stage],
    hotSince:
      hotSinceNanos === undefined
        ? undefined
        : {
            seconds: hotSinceNanos / 1_000_000_000n,
            nanos: Number(hotSinceNanos % 1_000_000_000n),
          },
    remaining: remainingMs === undefined ? undefined : { nanos: remainingMs * 1_000_000 },
  };
}

function recordOf(plain: Plain): FilterableRecord {
  const { name, endTimeMicros, isCancelRequested, errorCode, payload } = plain;
  const { metadata, method } =
    payload.kind === "bake"
      ? baking(messageOf(payload.bake))
      : payload.kind === "ship"
        ? shipping(payload)
        : aRecord();
  return {
    ...aRecord(),
    name,
    method,
    metadata,
    state: errorCode !== undefined || endTimeMicros !== undefined ? "done" : "running",
    endTimeMicros,
    cancelRequestTimeMicros: isCancelRequested ? createTimeMicros : undefined,
    result: errorCode === undefined ? undefined : failed({ code: errorCode }).result,
  };
}

describe("parseFilter and matchesFilter", () => {
  it("agree with a naive evaluator over plain values", () => {
    let matched = 0;
    fc.assert(
      fc.property(aModel(), fc.array(aPlain, { minLength: 1, maxLength: 4 }), (model, plains) => {
        const text = textOf(model);
        const filter = parseFilter(text, filterMethods);
        if (filter === undefined) throw new Error(`${text} was taken for an empty filter`);
        for (const plain of plains) {
          const expected = naively(model, plain);
          expect(matchesFilter(filter, recordOf(plain)), text).toBe(expected);
          if (expected) matched += 1;
        }
      }),
      { numRuns: 2000 },
    );
    // Half of all, roughly: the two do not agree in saying no to everything.
    expect(matched).toBeGreaterThan(1000);
  });
});
