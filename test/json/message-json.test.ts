import assert from "node:assert/strict";
import { create, createRegistry, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import {
  type Any,
  AnySchema,
  anyPack,
  DurationSchema,
  StructSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, it } from "vitest";
import { createMessageJson } from "../../src/json/message-json.js";
import { BookSchema, file_library_v1_library, ShelfSchema } from "../gen/library/v1/library_pb.js";

const registry = createRegistry(file_library_v1_library, DurationSchema, TimestampSchema);
const json = createMessageJson({ registry, unknownAny: "refuse" });
const lenient = createMessageJson({ registry, unknownAny: "struct" });

const known = anyPack(ShelfSchema, create(ShelfSchema, { number: 3 }));
const knownJson = { "@type": "type.googleapis.com/library.v1.Shelf", number: 3 };
const wellKnown = anyPack(DurationSchema, create(DurationSchema, { seconds: 2n }));
const wellKnownJson = { "@type": "type.googleapis.com/google.protobuf.Duration", value: "2s" };
const unknown = create(AnySchema, {
  typeUrl: "type.googleapis.com/elsewhere.v1.Thing",
  value: new Uint8Array([8, 1, 255]),
});
const unknownJson = { "@type": "type.googleapis.com/elsewhere.v1.Thing", value: "CAH/" };
/** A Shelf by its URL, whose bytes end in the middle. */
const malformed = create(AnySchema, {
  typeUrl: "type.googleapis.com/library.v1.Shelf",
  value: new Uint8Array([18, 200]),
});
const malformedJson = { "@type": "type.googleapis.com/library.v1.Shelf", value: "Esg=" };

describe("createMessageJson", () => {
  it.each([
    ["of a known type", known, knownJson],
    ["of a type with JSON of its own", wellKnown, wellKnownJson],
    ["of an unknown type", unknown, unknownJson],
    ["whose bytes cannot be read", malformed, malformedJson],
    [
      "that holds another",
      anyPack(AnySchema, unknown),
      {
        "@type": "type.googleapis.com/google.protobuf.Any",
        value: unknownJson,
      },
    ],
    ["that is empty", create(AnySchema), {}],
  ])("server 86: writes an Any %s, and reads it back byte for byte", (_, any: Any, expected) => {
    const withAny = createMessageJson({
      registry: createRegistry(registry, AnySchema),
      unknownAny: "refuse",
    });
    assert.deepEqual(withAny.write(AnySchema, any), expected);
    const read = withAny.read(AnySchema, expected);
    assert.deepEqual(toBinary(AnySchema, read), toBinary(AnySchema, any));
  });

  it("server 86: loses nothing of a message for an Any wherever it stands", () => {
    const book = create(BookSchema, {
      name: "n",
      extra: unknown,
      extras: [known, unknown, malformed],
      extraByPage: { 1: wellKnown, 20: unknown },
      place: { case: "spot", value: unknown },
      sequel: { id: "i", sequel: { extra: unknown }, tags: ["t"] },
      labels: { __proto__x: "1" },
    });
    const written = json.write(BookSchema, book);
    assert.deepEqual(written, {
      name: "n",
      labels: { __proto__x: "1" },
      extra: unknownJson,
      extras: [knownJson, unknownJson, malformedJson],
      extraByPage: { 1: wellKnownJson, 20: unknownJson },
      spot: unknownJson,
      sequel: { id: "i", tags: ["t"], sequel: { extra: unknownJson } },
    });
    assert.deepEqual(json.read(BookSchema, written), book);
  });

  it("has the fields in the order of their declaration, an Any's @type first", () => {
    const book = create(BookSchema, { name: "n", tags: ["t"], extra: known, lent: true });
    assert.deepEqual(Object.keys(Object(json.write(BookSchema, book))), [
      "name",
      "tags",
      "lent",
      "extra",
    ]);
    assert.deepEqual(Object.keys(Object(json.write(AnySchema, known))), ["@type", "number"]);
  });

  it("writes what Protobuf-ES writes where every type is known", () => {
    fc.assert(
      fc.property(aBook, (book) => {
        const written = json.write(BookSchema, book);
        assert.deepEqual(written, toJson(BookSchema, book, { registry }));
        assert.deepEqual(json.read(BookSchema, written), book);
      }),
    );
  });

  it("writes the bytes of Anys that nest too deep to be read", () => {
    const all = createMessageJson({
      registry: createRegistry(AnySchema),
      unknownAny: "refuse",
    });
    let any = unknown;
    for (let depth = 0; depth < 1000; depth += 1) any = anyPack(AnySchema, any);
    let innermost: JsonValue | undefined = all.write(AnySchema, any);
    let depth = 0;
    while (typeof innermost === "object" && innermost !== null && "value" in innermost) {
      innermost = innermost.value;
      depth += 1;
    }
    assert.equal(typeof innermost, "string");
    assert.ok(depth > 50 && depth <= 102, `${depth}`);
  });

  it.each<[string, JsonValue]>([
    ["a list", []],
    ["no @type", { value: "CAE=" }],
    ["an empty @type", { "@type": "" }],
    ["an unknown type with members", { ...unknownJson, value: { a: 1 } }],
    ["bytes that are no base64", { ...unknownJson, value: "*" }],
    ["a wrong member", { ...knownJson, number: "x" }],
    ["a Duration without value", { "@type": "google.protobuf.Duration", seconds: 1 }],
  ])("refuses an Any that is %s", (_, value) => {
    assert.throws(() => json.read(AnySchema, value));
    assert.throws(() => json.read(BookSchema, { extras: [value] }));
  });

  it.each<[string, JsonValue]>([
    ["set twice", { extra: {}, spot: {}, place: 1, room: "r" }],
    ["a list that is none", { extras: {} }],
    ["a map that is none", { extraByPage: [] }],
    ["a key of another type", { extraByPage: { x: {} } }],
    ["one field by two names", { extraByPage: { 1: knownJson }, extra_by_page: { 2: knownJson } }],
  ])("refuses a message with %s", (_, value) => {
    assert.throws(() => json.read(BookSchema, value));
  });

  it("keeps the JSON of an unknown type as a Struct where it is asked to", () => {
    const members = { "@type": "elsewhere.v1.Thing", a: [1, { b: null }] };
    const read = lenient.read(AnySchema, members);
    assert.equal(read.typeUrl, "type.googleapis.com/google.protobuf.Struct");
    assert.deepEqual(
      createMessageJson({ registry: createRegistry(StructSchema), unknownAny: "refuse" }).write(
        AnySchema,
        read,
      ),
      { "@type": "type.googleapis.com/google.protobuf.Struct", value: members },
    );
  });

  it("ignores members that are not fields, including names of Object.prototype", () => {
    const odd = JSON.parse('{"__proto__":{"extra":{}},"constructor":{},"extra":{},"toString":1}');
    assert.deepEqual(json.read(BookSchema, odd), create(BookSchema, { extra: {} }));
  });
});

const anAny = fc.constantFrom(known, wellKnown);
const aBook = fc
  .record({
    name: fc.string(),
    tags: fc.array(fc.string(), { maxLength: 3 }),
    wordCount: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    weight: fc.double(),
    cover: fc.uint8Array({ maxLength: 5 }),
    labels: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true }),
    extras: fc.array(anAny, { maxLength: 3 }),
    extraByPage: fc.dictionary(fc.nat().map(String), anAny, { maxKeys: 3, noNullPrototype: true }),
    extra: fc.option(anAny, { nil: undefined }),
    sequel: fc.record({ extra: anAny, lent: fc.boolean() }),
  })
  .map((init) => create(BookSchema, init));
