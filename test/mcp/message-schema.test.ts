import { create, createFileRegistry, createRegistry } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { assert, describe, expect, it } from "vitest";
import { typeRegistryOf } from "../../src/any/type-registry.js";
import { createMessageJson } from "../../src/json/message-json.js";
import type { ExactJsonObject } from "../../src/json/parse-json.js";
import { createDescriptions } from "../../src/mcp/descriptions.js";
import { createSchemaWriter, decimalUpTo, type JsonSchema } from "../../src/mcp/message-schema.js";
import { readArguments } from "../../src/mcp/tool-arguments.js";
import { file_kinds_v1_kinds, KindsSchema } from "../gen/kinds/v1/kinds_pb.js";
import { arbitraryMessage } from "../support/arbitrary-message.js";

const none = createDescriptions(undefined);
const registry = createRegistry(typeRegistryOf([file_kinds_v1_kinds], undefined));
const json = createMessageJson({ registry, unknownAny: "refuse", unknownNames: "refuse" });

function schemaOf(direction: "input" | "output"): JsonSchema {
  const writer = createSchemaWriter(direction, [KindsSchema], none);
  return { ...writer.root(KindsSchema), $defs: writer.definitions() ?? {} };
}

/** Validators of both dialects that hosts use. */
function validatorsOf(schema: JsonSchema) {
  const draft7 = addFormats.default(new Ajv.default({ strict: false, allErrors: true }));
  const draft2020 = addFormats.default(new Ajv2020.default({ strict: false, allErrors: true }));
  return [draft7.compile(schema), draft2020.compile(schema)];
}

function expectValid(validators: ReturnType<typeof validatorsOf>, value: unknown) {
  for (const validate of validators) {
    if (!validate(value)) {
      expect.fail(`${JSON.stringify(validate.errors?.[0])} in ${JSON.stringify(value)}`);
    }
  }
}

/** `npm run test:mcp` draws thousands. */
const runs = { numRuns: Number(process.env.DRAWN_MESSAGES ?? 150) };
const timeoutMs = 300_000;

describe("the schema of a message", { timeout: timeoutMs }, () => {
  it("mcp 26: fits what is written of drawn messages, as output", () => {
    const validators = validatorsOf(schemaOf("output"));
    fc.assert(
      fc.property(arbitraryMessage(KindsSchema, { isOpen: true }), (message) => {
        expectValid(validators, json.write(KindsSchema, message));
      }),
      runs,
    );
  });

  it("fits what is written of drawn messages, as input, which is read again", () => {
    const validators = validatorsOf(schemaOf("input"));
    fc.assert(
      fc.property(arbitraryMessage(KindsSchema, { isOpen: false }), (message) => {
        const written = json.write(KindsSchema, message);
        expectValid(validators, written);
        const read = readArguments(KindsSchema, written as ExactJsonObject, json);
        expect(json.write(KindsSchema, read)).toEqual(written);
      }),
      runs,
    );
  });

  it("lets nothing pass, as input, that cannot be read", () => {
    const schema = schemaOf("input");
    const validators = validatorsOf(schema);
    fc.assert(
      fc.property(arbitraryJson(schema, schema, 3), (value) => {
        expectValid(validators, value);
        readArguments(KindsSchema, value as ExactJsonObject, json);
      }),
      runs,
    );
  });

  it("mcp 28: refers to its own definitions alone, and has no union at its root", () => {
    for (const direction of ["input", "output"] as const) {
      const schema = schemaOf(direction);
      expect(schema.type).toBe("object");
      for (const keyword of ["oneOf", "anyOf", "allOf"]) expect(schema).not.toHaveProperty(keyword);
      const references = JSON.stringify(schema).match(/"\$ref":"[^"]*"/g) ?? [];
      expect(references.length).toBeGreaterThan(0);
      for (const reference of references) expect(reference).toMatch(/"\$ref":"#\/\$defs\//);
    }
  });

  it("grows with the number of messages alone, however often they occur within each other", () => {
    const depth = 40;
    // Each message has two fields of the next one: written where they occur, they would be 2^40.
    const proto = create(FileDescriptorProtoSchema, {
      name: "bomb.proto",
      syntax: "proto3",
      messageType: Array.from({ length: depth }, (_, at) => ({
        name: `M${at}`,
        field: ["a", "b"].map((name, index) => ({
          name,
          number: index + 1,
          label: FieldDescriptorProto_Label.OPTIONAL,
          ...(at === depth - 1
            ? { type: FieldDescriptorProto_Type.INT32 }
            : { type: FieldDescriptorProto_Type.MESSAGE, typeName: `.M${at + 1}` }),
        })),
      })),
    });
    const desc = createFileRegistry(proto, () => undefined).getMessage("M0");
    assert(desc !== undefined);
    for (const direction of ["input", "output"] as const) {
      const writer = createSchemaWriter(direction, [desc], none);
      const schema = { ...writer.root(desc), $defs: writer.definitions() ?? {} };
      expect(JSON.stringify(schema).length).toBeLessThan(depth * 250);
      expect(() => validatorsOf(schema)).not.toThrow();
    }
  });

  it.each(["9", "10", "255", "18446744073709551615", "9223372036854775807"])(
    "bounds the digits of an integer by %s",
    (greatest) => {
      const pattern = new RegExp(`^(?:${decimalUpTo(greatest)})$`);
      const bound = BigInt(greatest);
      fc.assert(
        fc.property(fc.bigInt({ min: 0n, max: bound * 11n }), (value) => {
          expect(pattern.test(String(value))).toBe(value <= bound);
        }),
        { numRuns: 500, examples: [[0n], [bound], [bound + 1n], [bound - 1n]] },
      );
      expect(pattern.test("01")).toBe(false);
    },
  );
});

/** Draws JSON that a schema of this package allows. */
function arbitraryJson(schema: JsonSchema, root: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  const { $ref: ref, type, properties, items, pattern, format, anyOf } = schema;
  if (typeof ref === "string") {
    const definitions = root.$defs as Record<string, JsonSchema>;
    return arbitraryJson(definitions[ref.slice("#/$defs/".length)] ?? {}, root, depth);
  }
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  // Any JSON. A null would be left out of an object.
  if (anyOf !== undefined) return fc.jsonValue({ maxDepth: 2 }).filter((value) => value !== null);
  if (type === "object") return arbitraryObject(schema, root, depth);
  if (type === "array") {
    const item = items as JsonSchema;
    if (depth <= 0) return fc.constant([]);
    return fc.array(
      arbitraryJson(item, root, depth - 1).map((one) => one ?? null),
      { maxLength: 3 },
    );
  }
  if (type === "string") {
    if (format === "date-time") {
      return fc
        .date({
          min: new Date("0001-01-01T00:00:00Z"),
          max: new Date("9999-12-31"),
          noInvalidDate: true,
        })
        .map((date) => date.toISOString());
    }
    return typeof pattern === "string" ? fc.stringMatching(new RegExp(pattern)) : fc.string();
  }
  if (type === "integer") {
    return fc.integer({ min: Number(schema.minimum), max: Number(schema.maximum) });
  }
  if (type === "number") {
    const { minimum, maximum } = schema;
    return fc.double({
      noNaN: true,
      noDefaultInfinity: true,
      ...(typeof minimum === "number" ? { min: minimum } : {}),
      ...(typeof maximum === "number" ? { max: maximum } : {}),
    });
  }
  if (type === "boolean") return fc.boolean();
  if (type === "null") return fc.constant(null);
  throw new Error(`no values are drawn for ${JSON.stringify({ type, properties })}`);
}

function arbitraryObject(
  schema: JsonSchema,
  root: JsonSchema,
  depth: number,
): fc.Arbitrary<unknown> {
  const { properties = {}, additionalProperties, propertyNames } = schema;
  const members = properties as Record<string, JsonSchema>;
  if ("@type" in members) {
    // The schema cannot say which members a type has: an unknown type has its bytes.
    return fc.base64String({ maxLength: 8 }).map((value) => ({ "@type": "a/b.C", value }));
  }
  if (additionalProperties === true) {
    return fc.dictionary(fc.string({ maxLength: 4 }), fc.integer(), { maxKeys: 3 });
  }
  if (typeof additionalProperties === "object" && additionalProperties !== null) {
    if (depth <= 0) return fc.constant({});
    const names = (propertyNames ?? {}) as JsonSchema;
    const key = Array.isArray(names.enum)
      ? fc.constantFrom(...names.enum.map(String))
      : typeof names.pattern === "string"
        ? fc.stringMatching(new RegExp(names.pattern))
        : fc.string({ maxLength: 4 });
    const value = arbitraryJson(additionalProperties as JsonSchema, root, depth - 1);
    return fc.dictionary(
      key,
      value.map((one) => one ?? null),
      { maxKeys: 3 },
    );
  }
  // "At most one of" the members of a oneof is said in words.
  const oneof = Object.keys(members).filter((name) => /^c[A-Z]/.test(name));
  const names = Object.keys(members).filter((name) => !oneof.includes(name));
  const drawn = [...names, ...oneof.slice(0, 1)].map((name) =>
    depth <= 0 && isDeep(members[name] ?? {})
      ? fc.constant([name, undefined] as const)
      : fc
          .option(arbitraryJson(members[name] ?? {}, root, depth - 1), { freq: 2, nil: undefined })
          .map((value) => [name, value] as const),
  );
  return fc
    .tuple(...drawn)
    .map((entries) =>
      Object.fromEntries(
        entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
      ),
    );
}

function isDeep(schema: JsonSchema): boolean {
  return "$ref" in schema || schema.type === "object" || schema.type === "array";
}
