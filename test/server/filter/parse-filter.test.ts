import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filter, pack } from "../../../src/index.js";
import { BadRequestSchema, ErrorInfoSchema } from "../../../src/protos.js";
import { parseFilter } from "../../../src/server/filter/parse-filter.js";
import { standardDetailsOf } from "../../../src/status/index.js";
import { type FilterableRecord, matchesFilter } from "../../../src/store/index.js";
import { BakeMetadata_Stage } from "../../gen/filters/v1/filters_pb.js";
import {
  aRecord,
  baked,
  baking,
  createTimeMicros,
  failed,
  filterMethods,
  Ship,
  shipping,
} from "../../support/filter-record.js";

function matches(text: string, record: FilterableRecord): boolean {
  const filter = parseFilter(text, filterMethods);
  return filter === undefined || matchesFilter(filter, record);
}

/** Reason, position and message of the INVALID_ARGUMENT that a filter is refused with. */
function faultOf(text: string, methods = filterMethods) {
  try {
    parseFilter(text, methods);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    expect(error.code).toBe(Code.InvalidArgument);
    const { errorInfo, badRequest } = standardDetailsOf(error);
    expect(badRequest?.fieldViolations[0]?.field).toBe("filter");
    return {
      reason: errorInfo?.reason,
      position: Number(errorInfo?.metadata.position),
      message: error.rawMessage,
    };
  }
  throw new Error(`${text} was understood`);
}

const done = baked({ loaves: 3 });
const cancelled = aRecord({ cancelRequestTimeMicros: createTimeMicros + 1 });
const notFound = failed({
  code: Code.NotFound,
  message: "no flour",
  details: [
    pack(ErrorInfoSchema, { reason: "OUT_OF_FLOUR", metadata: { shelf: "3" } }),
    pack(BadRequestSchema, { fieldViolations: [{ field: "flour" }, { field: "water" }] }),
    { typeUrl: "type.googleapis.com/elsewhere.v1.Thing", value: new Uint8Array([255]) },
  ],
});
const bread = baking({
  baker: "Anna",
  count: 7,
  grams: 9007199254740993n,
  serial: 18446744073709551615n,
  degrees: 220.5,
  humidity: 0.1,
  isHot: true,
  digest: new Uint8Array([1, 2, 255]),
  stage: BakeMetadata_Stage.BAKING,
  loaf: { number: 4, flour: "rye", marks: ["star", "moon"] },
  tags: ["crust", "dark rye"],
  sizes: [1, 42],
  loaves: [
    { number: 1, flour: "rye" },
    { number: 2, flour: "oat", below: { number: 9 } },
  ],
  labels: { env: "x", "a.b c": "y", AND: "z" },
  shelf: { 3: { number: 33 }, [-1]: { number: 11 } },
  hotSince: { seconds: 1n, nanos: 1 },
  remaining: { seconds: 20n, nanos: 500_000_000 },
  notes: { salt: 2, kind: "brown", ok: true, none: null, in: { deep: [1, "two", { x: 3 }] } },
  guess: 12,
  rating: 0,
  place: { case: "rack", value: 5 },
  warnings: [pack(ErrorInfoSchema, { reason: "TOO_HOT" })],
  state: 2,
  AND: "keyword",
});
const plain = baking({});
const shipment = shipping({ target: "Oslo", state: "MOVING", carrier: "sea" });

describe("a filter's fields of the operation", () => {
  const yes = true;
  const no = false;
  it.each<[string, FilterableRecord, boolean]>([
    // server 49: AIP-160's own table has a = true
    ["done = true", done, yes],
    ["done = true", plain, no],
    ["done = false", plain, yes],
    ["done != true", plain, yes],
    ["done:true", done, yes],
    ["done:*", done, yes],
    ["done:*", plain, no],
    ["NOT done = true", plain, yes],
    ["-done = true", done, no],
    ["cancel_requested = true", cancelled, yes],
    ["cancel_requested = true", plain, no],
    ["cancel_requested = false", plain, yes],
    // strings and wildcards
    ['name = "bakeries/7/operations/0190-abc"', plain, yes],
    ["name = bakeries/7/operations/0190-abc", plain, yes],
    ['name != "x"', plain, yes],
    ['name = "*0190-*"', plain, yes],
    ['name = "bakeries/*"', plain, yes],
    ['name = "*-abc"', plain, yes],
    ['name = "bak*7*abc"', plain, yes],
    ['name = "*bakeries"', plain, no],
    ['name != "*-abc"', plain, no],
    ['name > "bakeries/6" AND name < "bakeries/8"', plain, yes],
    ["name:*", plain, yes],
    ["method = filters.v1.FilterService/Bake", plain, yes],
    ['method = "*/Ship"', shipment, yes],
    ['method = "*/Ship"', plain, no],
    // literals alone: in the name or the method
    ["0190", plain, yes],
    ["0190 Ship", plain, no],
    ["-0190", plain, no],
    ["filters.v1", plain, yes],
    ['"done"', plain, no],
    ["(0190 OR x) Bake", plain, yes],
    // times
    ["create_time = 2026-01-02T03:04:05Z", plain, yes],
    ['create_time = "2026-01-02T04:04:05+01:00"', plain, yes],
    ["create_time < 2026-01-02T03:04:05.000000001Z", plain, yes],
    ["create_time <= 2026-01-02T03:04:05.000000001Z", plain, yes],
    ["create_time > 2026-01-02T03:04:05.000000001Z", plain, no],
    ["create_time >= 2026-01-02T03:04:05.000000001Z", plain, no],
    ["create_time = 2026-01-02T03:04:05.000000001Z", plain, no],
    ["create_time != 2026-01-02T03:04:05.000000001Z", plain, yes],
    ["create_time > 2026-01-02T03:04:04.999999999Z", plain, yes],
    ["create_time >= 2026-01-02T03:04:04.999999999Z", plain, yes],
    ["create_time < 2026-01-02T03:04:04.999999999Z", plain, no],
    ["create_time > 1969-12-31T23:59:59.999999999Z", plain, yes],
    ["create_time < 9999-12-31T23:59:59Z", plain, yes],
    ["create_time = 9999-12-31T23:59:59Z", plain, no],
    ["create_time > 0001-01-01T00:00:00Z", plain, yes],
    ["create_time <= 0001-01-01T00:00:00Z", plain, no],
    ["update_time >= 2026-01-02T03:04:05Z", plain, yes],
    ["end_time = 2026-01-02T03:04:06Z", done, yes],
    ["end_time:*", done, yes],
    ["end_time:*", plain, no],
    // An absent field matches no comparison, so NOT of it matches (AIP-160)
    ["end_time != 2026-01-02T03:04:06Z", plain, no],
    ["end_time != 2026-01-02T03:04:06.000000001Z", plain, no],
    ["end_time < 9999-12-31T23:59:59Z", plain, no],
    ["NOT end_time < 9999-12-31T23:59:59Z", plain, yes],
    // errors
    ["error.code = 5", notFound, yes],
    ["error.code = NOT_FOUND", notFound, yes],
    ['error.code:"NOT_FOUND"', notFound, yes],
    ["error.code != CANCELLED", notFound, yes],
    ["error.code != CANCELLED", done, no],
    ["error.code >= 5 error.code < 6", notFound, yes],
    ["error.code = (1 OR 5)", notFound, yes],
    ["error.code:*", notFound, yes],
    ["error.code:*", done, no],
    ["error:*", notFound, yes],
    ["error:code", notFound, yes],
    ["error:*", done, no],
    ["-error:*", done, yes],
    ['error.message = "no *"', notFound, yes],
    ["error.message:*", notFound, yes],
    ["error:details", notFound, yes],
    ["error.details:*", notFound, yes],
    ["error.details.reason:OUT_OF_FLOUR", notFound, yes],
    ["error.details.reason:OTHER", notFound, no],
    ["error.details.metadata.shelf:3", notFound, yes],
    ["error.details.metadata:shelf", notFound, yes],
    ["error.details.field_violations.field:water", notFound, yes],
    ["error.details.field_violations.field:salt", notFound, no],
    ['error.details.type_url:"*/elsewhere.v1.Thing"', notFound, yes],
    ["error.details.retry_delay:*", notFound, no],
    // payloads as a whole
    ["response:*", done, yes],
    ["response:*", notFound, no],
    ["response.loaves = 3", done, yes],
    ["response.loaves:3", done, yes],
    ["response:loaves", done, yes],
    ["response.loaves != 4", done, yes],
    ["response.loaves != 4", notFound, no],
    ["response.loaves = 0", plain, no],
    ["metadata:*", plain, yes],
    ["metadata:*", done, no],
  ])("server 48, 49: %s (%#)", (text, record, expected) => {
    expect(matches(text, record)).toBe(expected);
  });
});

describe("a filter's fields of a payload", () => {
  it.each<[string, boolean, boolean]>([
    // text, on a record with all of it, on one with empty metadata
    ["metadata.baker = Anna", true, false],
    ["metadata.baker != Anna", false, true],
    ['metadata.baker = "A*"', true, false],
    ['metadata.baker != "A*"', false, true],
    ['metadata.baker > "Ann" AND metadata.baker <= "Anna"', true, false],
    ["metadata.baker:*", true, false],
    ["metadata:baker", true, false],
    ['metadata.baker = ""', false, true],
    ['metadata."baker" = Anna', true, false],
    ["metadata.count = 7", true, false],
    ["metadata.count > -1", true, true],
    ["metadata.count = (1 OR 7)", true, false],
    ["metadata.count:(NOT 0)", true, false],
    ["metadata.grams = 9007199254740993", true, false],
    ["metadata.grams = 9007199254740992", false, false],
    ["metadata.grams > 9007199254740992", true, false],
    ["metadata.serial = 18446744073709551615", true, false],
    ["metadata.degrees > 2.2e2", true, false],
    ["metadata.degrees = 2.205e+2", true, false],
    ["metadata.degrees < Infinity", true, true],
    ["metadata.humidity = 0.1", true, false],
    ["metadata.humidity > 0.1", false, false],
    ["metadata.is_hot = true", true, false],
    ["metadata.is_hot != true", false, true],
    ['metadata.digest = "AQL/"', true, false],
    ['metadata.digest = "AQL_"', true, false],
    ["metadata.digest != AQI", true, true],
    ["metadata.stage = BAKING", true, false],
    ['metadata.stage = "BAKING"', true, false],
    ["metadata.stage = 2", true, false],
    ["metadata.stage != BAKING", false, true],
    ["metadata.stage:*", true, false],
    // messages; unset ones match nothing, not even != (AIP-160)
    ["metadata.loaf.number = 4", true, false],
    ["metadata.loaf.number != 5", true, false],
    ["NOT metadata.loaf.number = 5", true, true],
    ["metadata.loaf:*", true, false],
    ["metadata.loaf:flour", true, false],
    ["metadata.loaf:below", false, false],
    ["metadata.loaf.below.number != 5", false, false],
    ["metadata.loaf.below:*", false, false],
    ["metadata.loaf.marks:moon", true, false],
    // repeated fields
    ["metadata.tags:crust", true, false],
    ['metadata.tags:"*rye"', true, false],
    ["metadata.tags:rye", false, false],
    ["metadata.tags:*", true, false],
    ["metadata.sizes:42", true, false],
    ["metadata.sizes:(1 42)", true, false],
    ["metadata.sizes:(1 43)", false, false],
    ["metadata.loaves.flour:oat", true, false],
    ["metadata.loaves.flour:wheat", false, false],
    ["metadata.loaves.below.number:9", true, false],
    ["metadata.loaves.below:*", true, false],
    ["metadata.loaves.below.below:*", false, false],
    // maps
    ["metadata.labels:env", true, false],
    ["metadata.labels.env:*", true, false],
    ["metadata.labels.env = x", true, false],
    ["metadata.labels.env != y", true, false],
    ["metadata.labels.env:x", true, false],
    ['metadata.labels."a.b c" = "y"', true, false],
    ["metadata.labels.AND = z", true, false],
    ["metadata.labels.other != x", false, false],
    ["metadata.labels.__proto__:*", false, false],
    ["metadata.labels:*", true, false],
    ["metadata.shelf.3.number = 33", true, false],
    ['metadata.shelf."-1".number = 11', true, false],
    ["metadata.shelf.4.number != 33", false, false],
    ["metadata.shelf:3", true, false],
    // well-known types
    ["metadata.hot_since = 1970-01-01T00:00:01.000000001Z", true, false],
    ["metadata.hot_since < 1970-01-01T00:00:01.000000002Z", true, false],
    ["metadata.hot_since > 1970-01-01T00:00:01Z", true, false],
    ["metadata.hot_since != 1970-01-01T00:00:01Z", true, false],
    ["metadata.hot_since:*", true, false],
    ["metadata.remaining = 20.5s", true, false],
    ["metadata.remaining > 20s", true, false],
    ["metadata.remaining > -0.01s", true, false],
    ["metadata.notes.salt = 2", true, false],
    ["metadata.notes.salt > 1.5", true, false],
    ['metadata.notes.salt = "2"', false, false],
    ["metadata.notes.kind = bro*", true, false],
    ["metadata.notes.kind != white", true, false],
    ["metadata.notes.kind > blue", true, false],
    ["metadata.notes.ok = true", true, false],
    ["metadata.notes.none = null", true, false],
    ["metadata.notes.none:*", true, false],
    ["metadata.notes:salt", true, false],
    ["metadata.notes:pepper", false, false],
    ["metadata.notes.in:deep", true, false],
    ["metadata.notes.in.deep:1", true, false],
    ["metadata.notes.in.deep:two", true, false],
    ["metadata.notes.in.deep:three", false, false],
    ["metadata.notes.in.deep.x:3", true, false],
    ["metadata.notes.in.deep.x = 3", false, false],
    ["metadata.notes.in.deep != 1", false, false],
    ["metadata.notes.pepper != 1", false, false],
    ["metadata.guess = 12", true, false],
    ["metadata.guess > 11", true, false],
    ["metadata.guess.value = 12", true, false],
    ["metadata.guess:*", true, false],
    // A scalar that may be unset reads as its default, and is present once it is set
    ["metadata.rating = 0", true, true],
    ["metadata.rating:*", true, false],
    ["metadata.rack = 5", true, false],
    ["metadata.oven:*", false, false],
    ['metadata.oven = ""', true, true],
    ["metadata.warnings.reason:TOO_HOT", true, false],
    // server 49: a field whose name is a keyword
    ["metadata.AND = keyword", true, false],
    // OR above AND
    ["metadata.count = 0 OR metadata.count = 7 metadata.is_hot = true", true, false],
    ["metadata.is_hot = true OR metadata.count = 0 AND metadata.baker = Anna", true, false],
  ])("server 48: %s", (text, onBread, onPlain) => {
    expect(matches(text, bread)).toBe(onBread);
    expect(matches(text, plain)).toBe(onPlain);
    // Metadata of another type has no such field, and a record may lack metadata.
    if (!text.includes("NOT ")) {
      expect(matches(text, shipment)).toBe(false);
      expect(matches(text, aRecord())).toBe(false);
    }
  });

  it("takes a field that only some types have, or have with another type", () => {
    expect(matches("metadata.carrier = sea", shipment)).toBe(true);
    expect(matches("metadata.carrier != sea", bread)).toBe(false);
    expect(matches("metadata.state = MOVING", shipment)).toBe(true);
    expect(matches("metadata.state = MOVING", bread)).toBe(false);
    expect(matches("metadata.state = 2", bread)).toBe(true);
    expect(matches("metadata.state != 2", shipment)).toBe(true);
  });

  it("matches no payload that cannot be decoded", () => {
    const broken = new Uint8Array([255, 255, 255]);
    const value = toBinary(
      AnySchema,
      create(AnySchema, { typeUrl: "x/filters.v1.BakeMetadata", value: broken }),
    );
    for (const metadata of [broken, value]) {
      expect(matches("metadata.count != 7", aRecord({ metadata }))).toBe(false);
    }
    const error = aRecord({ state: "done", result: { kind: "error", value: broken } });
    expect(matches("error.code != 7 OR error.message != x", error)).toBe(false);
  });

  it("reads the standard fields of the metadata from the record, for the types that have them", () => {
    const record = { ...shipment, cancelRequestTimeMicros: 1, endTimeMicros: createTimeMicros };
    const other = { ...aRecord(), cancelRequestTimeMicros: 1, endTimeMicros: createTimeMicros };
    for (const text of [
      "metadata.create_time = 2026-01-02T03:04:05Z",
      "metadata.end_time:*",
      "metadata:end_time",
      "metadata.requested_cancellation = true",
    ]) {
      expect(matches(text, record)).toBe(true);
      expect(matches(text, other)).toBe(false);
    }
    expect(parseFilter("metadata.end_time:*", filterMethods)).toEqual({
      kind: "and",
      operands: [
        { kind: "method-in", methods: ["filters.v1.FilterService/Ship"] },
        { kind: "present", column: "end_time" },
      ],
    });
  });

  it("takes every value that the client's tag writes for a field of its type", () => {
    const time = create(TimestampSchema, { seconds: 1n, nanos: 1 });
    const remaining = create(DurationSchema, { seconds: 20n, nanos: 500_000_000 });
    const text = filter`metadata.baker = ${"Anna"} AND metadata.grams = ${9007199254740993n}
      AND metadata.is_hot = ${true} AND metadata.hot_since = ${time} AND metadata.degrees = ${220.5}
      AND metadata.remaining = ${remaining} AND metadata.stage = ${"BAKING"} AND metadata.count > ${-3}`;
    expect(matches(String(text), bread)).toBe(true);
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }).filter((baker) => !baker.includes("*")),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        (baker, grams, degrees) => {
          const same = filter`metadata.baker = ${baker} metadata.grams = ${grams} metadata.degrees = ${degrees}`;
          expect(matches(String(same), baking({ baker, grams, degrees }))).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a filter with a fault in its types", () => {
  it.each([
    // server 46
    ["colour = red", 1, 'there is no field "colour"; the fields are name, done'],
    ["owner = me", 1, 'there is no field "owner"'],
    ["createTime > 2026-01-02T03:04:05Z", 1, "it is written create_time"],
    [
      "done = true AND metadata.colour = 1",
      26,
      'the metadata of the known methods has no field "colour"',
    ],
    ["metadata.isHot = true", 10, "it is written is_hot"],
    ["metadata.loaf.colour = 1", 15, 'filters.v1.BakeMetadata.Loaf has no field "colour"'],
    ["metadata:colour", 10, 'no field "colour"'],
    ["response.colour:1", 10, 'no field "colour"'],
    ["name.first = x", 6, '"name" has no fields'],
    ["error.code.x = 1", 12, '"code" has no fields'],
    ["error.colour = 1", 7, 'google.rpc.Status has no field "colour"'],
    ["error.details.colour:1", 15, 'a detail of google.rpc has no field "colour"'],
    ["error.details.retryDelay:1s", 15, "it is written retry_delay"],
    ["metadata.count.x = 1", 16, '"count" has no fields'],
    ["metadata.hot_since.seconds = 1", 20, '"hot_since" has no fields'],
    // AIP-160: one element of a repeated field cannot be asked for
    ["metadata.loaves.0.number:1", 17, 'no field "0"'],
  ])("server 46: %s is an unknown field in column %d", (text, position, message) => {
    const fault = faultOf(text);
    expect(fault).toMatchObject({ reason: "UNKNOWN_FILTER_FIELD", position });
    expect(fault.message).toContain(message);
  });

  it.each([
    // server 47
    ["done = maybe", 8, 'done is compared with true or false, and "maybe" is none'],
    ["done = 1", 8, "true or false"],
    ["done < true", 6, 'done is a boolean and has no order, so "<" does not apply'],
    ["create_time > yesterday", 15, "a time such as 2026-01-02T03:04:05Z"],
    ["create_time > 2026-02-30T00:00:00Z", 15, "a time"],
    ["create_time > 2026-01-02T24:00:00Z", 15, "a time"],
    ["create_time > 2026-01-02T23:60:00Z", 15, "a time"],
    ['create_time > "2026-01-02"', 15, "a time"],
    ["end_time = 5", 12, "a time"],
    ["error.code = MISSING", 14, "a google.rpc.Code"],
    ["error.code < NOT_FOUND", 12, "has no order"],
    ["error.code = 2.5", 14, "a google.rpc.Code"],
    ["error.code = 99999999999", 14, "a google.rpc.Code"],
    ["error = 5", 7, "error is a message"],
    ["metadata != x", 10, "metadata is a message"],
    ["metadata.count = seven", 18, "an integer of type int32"],
    ["metadata.count = 7.5", 18, "an integer of type int32"],
    ["metadata.count = 2147483648", 18, "an integer of type int32"],
    ["metadata.serial = -1", 19, "an integer of type uint64"],
    [`metadata.grams = ${"9".repeat(1000)}`, 18, "an integer of type int64"],
    ["metadata.degrees = 1e", 20, "a number"],
    ["metadata.is_hot > false", 17, "is a boolean and has no order"],
    ["metadata.stage > MIXING", 16, "is an enum and has no order"],
    ["metadata.stage = FRYING", 18, "a value of filters.v1.BakeMetadata.Stage"],
    ["metadata.digest = ?", 19, "base64"],
    ["metadata.digest < AQI", 17, "is of bytes and has no order"],
    ["metadata.loaf = x", 15, "is a filters.v1.BakeMetadata.Loaf"],
    ["metadata.tags = crust", 15, "goes through a repeated field"],
    ["metadata.loaves.number = 1", 24, "goes through a repeated field"],
    ["metadata.loaves:1", 16, "needs the name of a field"],
    ["metadata.labels = x", 17, "is a map and needs a key"],
    ["metadata.shelf.x.number = 1", 16, '"x" is no int32'],
    ["metadata.shelf:x", 16, '"x" is no int32'],
    ["metadata.remaining > 20", 22, "seconds such as 1.5s"],
    ["metadata.remaining > 1.0000000001s", 22, "seconds"],
    ["metadata.guess = x", 18, "an integer of type int32"],
    // A value of the wrong type weighs more than a field that another type has not.
    ["metadata.target < 3 metadata.is_hot = 3", 39, "true or false"],
  ])(
    "server 47: %s has a value or an operator of the wrong type in column %d",
    (text, at, message) => {
      const fault = faultOf(text);
      expect(fault).toMatchObject({ reason: "FILTER_TYPE_MISMATCH", position: at });
      expect(fault.message).toContain(message);
    },
  );

  it.each([
    ["done", 1, "done is a field: compare it"],
    ["metadata.count", 1, "metadata.count is a field"],
    ['x."y z"', 1, "is a field"],
    ["error.code != (1 OR 2)", 12, 'several values stand only behind "=" and ":"'],
  ])("server 45: %s is refused in column %d", (text, position, message) => {
    const fault = faultOf(text);
    expect(fault).toMatchObject({ reason: "INVALID_FILTER", position });
    expect(fault.message).toContain(message);
  });

  it("knows no field of a payload without a method, and only those of the methods given", () => {
    expect(faultOf("metadata.carrier = sea", []).reason).toBe("UNKNOWN_FILTER_FIELD");
    expect(faultOf("metadata.baker = x", [Ship]).message).toContain(
      'filters.v1.ShipMetadata has no field "baker"',
    );
    expect(parseFilter("metadata.carrier = sea", [Ship])).toBeDefined();
  });
});
