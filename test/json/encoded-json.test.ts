import assert from "node:assert/strict";
import {
  create,
  createRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  isMessage,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AnySchema, StringValueSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { createEncodedJson } from "../../src/json/encoded-json.js";
import { createMessageJson } from "../../src/json/message-json.js";
import { OperationSchema } from "../../src/protos.js";
import { jsonBody } from "../../src/rest/answer.js";
import { type Kinds, KindsSchema } from "../gen/kinds/v1/kinds_pb.js";
import { arbitraryMessage } from "../support/arbitrary-message.js";

const registry = createRegistry(KindsSchema, StringValueSchema, StructSchema);
const json = createMessageJson({ registry, unknownAny: "refuse" });
const encoded = createEncodedJson(registry, json);
const isOpen = true;

/** The text from the decoded message: undefined if it cannot be decoded or written. */
function decodedText(desc: DescMessage, bytes: Uint8Array, pretty: boolean): string | undefined {
  let hasNegativeZero = false;
  const onNegativeZero = () => {
    hasNegativeZero = true;
  };
  try {
    const written = json.write(desc, fromBinary(desc, bytes), { onNegativeZero });
    return String(jsonBody(written, { pretty, callback: undefined }, hasNegativeZero).content);
  } catch {
    return undefined;
  }
}

/** Compares both forms, and returns whether the message did not have to be decoded. */
function assertSame(desc: DescMessage, bytes: Uint8Array): boolean {
  const texts = [false, true].map((pretty) => {
    const text = encoded.write(desc, bytes, pretty);
    if (text !== undefined) {
      assert.equal(Buffer.from(text).toString(), decodedText(desc, bytes, pretty));
    }
    return text;
  });
  return texts.every((text) => text !== undefined);
}

/** Fields whose messages are always decoded first: masks, and maps whose keys are not strings. */
function isDecoded({ message, fieldKind, ...field }: DescField): boolean {
  if (message?.typeName === "google.protobuf.FieldMask") return true;
  return fieldKind === "map" && "mapKey" in field && field.mapKey !== 9;
}

const direct = KindsSchema.fields.filter((field) => !isDecoded(field));

/** Messages in which no field has to be decoded first, with an Any of such a message. */
const drawn: fc.Arbitrary<Message> = fc
  .tuple(arbitraryMessage(KindsSchema, { isOpen }, 1), arbitraryMessage(KindsSchema, { isOpen }, 1))
  .map(([message, inAny]) => {
    const value = toBinary(KindsSchema, withDirectFields(inAny));
    const typeUrl = `type.googleapis.com/${KindsSchema.typeName}`;
    return Object.assign(withDirectFields(message), { any: create(AnySchema, { typeUrl, value }) });
  });

function withDirectFields(message: Message): Kinds {
  const kinds = fromBinary(KindsSchema, bytesOf(message));
  const fields = reflect(KindsSchema, kinds);
  for (const field of KindsSchema.fields) if (isDecoded(field)) fields.clear(field);
  return kinds;
}

/** Encodes a message of the type that the drawn messages have. */
function bytesOf(message: Message): Uint8Array {
  assert.ok(isMessage(message, KindsSchema));
  return toBinary(KindsSchema, message);
}

/** Bytes that encoders do not write: cut, changed, or with parts twice or in another order. */
const unusual: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    arbitraryMessage(KindsSchema, { isOpen }, 1),
    fc.nat(),
    fc.nat({ max: 255 }),
    fc.constantFrom("cut", "changed", "twice", "turned"),
  )
  .map(([message, place, byte, how]) => {
    const bytes = bytesOf(message);
    const at = place % (bytes.length + 1);
    if (how === "cut") return bytes.subarray(0, at);
    if (how === "twice") return Uint8Array.of(...bytes, ...bytes.subarray(at));
    if (how === "turned") return Uint8Array.of(...bytes.subarray(at), ...bytes.subarray(0, at));
    return bytes.with(Math.min(at, Math.max(0, bytes.length - 1)), byte);
  });

describe("the JSON of an encoded message", () => {
  it.each(direct.map((field) => [field.name, field] as const))(
    "needs no decoded message, and is the same, for the field %s",
    (_, field) => {
      let written = 0;
      fc.assert(
        fc.property(arbitraryMessage(KindsSchema, { isOpen }, 1), (message) => {
          const one = reflect(KindsSchema, create(KindsSchema));
          const all = reflect(KindsSchema, withDirectFields(message));
          if (all.isSet(field)) one.set(field, all.get(field));
          if (assertSame(KindsSchema, bytesOf(one.message))) written += 1;
        }),
        { numRuns: 40 },
      );
      assert.ok(written > 10, `only ${written} of 40`);
    },
  );

  it("is the same for messages with all kinds of fields", () => {
    let written = 0;
    fc.assert(
      fc.property(drawn, (message) => {
        if (assertSame(KindsSchema, bytesOf(message))) written += 1;
      }),
      { numRuns: 200 },
    );
    assert.ok(written > 20, `only ${written} of 200`);
  });

  it("is the same for bytes that encoders do not write, or needs a decoder", () => {
    fc.assert(
      fc.property(unusual, (bytes) => {
        assertSame(KindsSchema, bytes);
      }),
      { numRuns: 500 },
    );
  });

  it("escapes what a page or a script could misread", () => {
    const name = '</script>&\u2028\u2029"\\\n\u0000\u001f\u007f\u00e9\ud83d\ude00\ufeff';
    const bytes = toBinary(OperationSchema, create(OperationSchema, { name, done: true }));
    assert.ok(assertSame(OperationSchema, bytes));
    const text = Buffer.from(encoded.write(OperationSchema, bytes, false) ?? []).toString();
    assert.ok(
      text.startsWith('{"name":"\\u003c/script\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\u0000'),
    );
  });

  it("writes the bytes of an Any of an unknown type", () => {
    const metadata = create(AnySchema, { typeUrl: "a/b.C", value: Uint8Array.of(1, 2, 3, 4) });
    const bytes = toBinary(OperationSchema, create(OperationSchema, { metadata }));
    const text = Buffer.from(encoded.write(OperationSchema, bytes, false) ?? []).toString();
    assert.equal(text, '{"metadata":{"@type":"a/b.C","value":"AQIDBA=="}}');
  });

  it("keeps the place of an Any that has to be decoded in a message that has not", () => {
    const value = toBinary(KindsSchema, create(KindsSchema, { mask: { paths: ["a_b"] } }));
    const metadata = create(AnySchema, { typeUrl: `/${KindsSchema.typeName}`, value });
    const operation = create(OperationSchema, { name: "n", metadata, done: true });
    assert.ok(assertSame(OperationSchema, toBinary(OperationSchema, operation)));
  });

  it("needs a decoder for a payload with an Any that ends after a tag", () => {
    const url = Buffer.from(`a/${KindsSchema.typeName}`);
    for (const inner of [[0x12], [0x1a], [0x0a, url.length, ...url, 0x12]]) {
      const writer = new BinaryWriter().tag(KindsSchema.field.any.number, WireType.LengthDelimited);
      const value = writer.bytes(Uint8Array.from(inner)).finish();
      const metadata = create(AnySchema, { typeUrl: `a/${KindsSchema.typeName}`, value });
      const operation = create(OperationSchema, { metadata });
      const bytes = toBinary(OperationSchema, operation);
      assert.equal(encoded.write(OperationSchema, bytes, false), undefined);
    }
  });

  it("takes the last value of a field, wherever it is", () => {
    const bytes = Uint8Array.of(
      ...bytesOf(
        create(KindsSchema, { text: "later", i32: 1, choice: { case: "cText", value: "x" } }),
      ),
      ...bytesOf(create(KindsSchema, { i64: 5n, texts: ["a", "b"] })),
      ...bytesOf(create(KindsSchema, { text: "last", choice: { case: "cI64", value: 0n } })),
      ...bytesOf(create(KindsSchema, { i32: 2, span: { seconds: 1n } })),
    );
    assert.ok(assertSame(KindsSchema, bytes));
    assert.equal(
      Buffer.from(encoded.write(KindsSchema, bytes, false) ?? []).toString(),
      '{"i32":2,"i64":"5","text":"last","span":"1s","texts":["a","b"],"cI64":"0"}',
    );
  });

  it("is the same for more type URLs than are kept", () => {
    for (const round of [1, 2]) {
      for (let count = 0; count < 100; count += 1) {
        const typeUrl = `host${count}.example/${StringValueSchema.typeName}`;
        const value = toBinary(StringValueSchema, create(StringValueSchema, { value: `${round}` }));
        const operation = create(OperationSchema, { metadata: { typeUrl, value } });
        assert.ok(assertSame(OperationSchema, toBinary(OperationSchema, operation)));
      }
    }
  });

  it("is the same after a message of more bytes than are kept", () => {
    for (const name of ["é".repeat(2 ** 20), "short"]) {
      const bytes = toBinary(OperationSchema, create(OperationSchema, { name }));
      assert.ok(assertSame(OperationSchema, bytes));
    }
  });

  it("decodes messages within messages deeper than 32 levels first", () => {
    let value = create(ValueSchema, { kind: { case: "stringValue", value: "deep" } });
    for (let level = 0; level < 40; level += 1) {
      value = create(ValueSchema, { kind: { case: "listValue", value: { values: [value] } } });
    }
    assert.equal(encoded.write(ValueSchema, toBinary(ValueSchema, value), false), undefined);
  });
});
