import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect, type ScalarValue } from "@bufbuild/protobuf/reflect";
import {
  type Any,
  AnySchema,
  DurationSchema,
  type FieldMask,
  FieldMaskSchema,
  StringValueSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

/** Settings of drawn messages. */
export interface MessageOptions {
  /** Whether floats may be NaN and infinite, and enums may have numbers without a name. */
  readonly isOpen: boolean;
}

/** Draws messages of a type with fields of every kind, each set in about a third of them. */
export function arbitraryMessage(
  desc: DescMessage,
  options: MessageOptions,
  depth = 2,
): fc.Arbitrary<Message> {
  const special = specialMessage(desc, options, depth);
  if (special !== undefined) return special;
  const fields = desc.fields.filter((field) => depth > 0 || field.message === undefined);
  const values = fields.map((field) =>
    fc.option(arbitraryField(field, options, depth - 1), { freq: 2, nil: undefined }),
  );
  return fc.tuple(...values).map((drawn) => {
    const message = reflect(desc);
    fields.forEach((field, at) => {
      const setField = drawn[at];
      if (setField !== undefined) setField(message, field);
    });
    return message.message;
  });
}

type SetField = (message: ReturnType<typeof reflect>, field: DescField) => void;

function arbitraryField(
  field: DescField,
  options: MessageOptions,
  depth: number,
): fc.Arbitrary<SetField> {
  switch (field.fieldKind) {
    case "scalar":
      return arbitraryScalar(field.scalar, options).map((value) => (message) => {
        message.set(field, value);
      });
    case "enum":
      return arbitraryEnum(field.enum, options).map((value) => (message) => {
        message.set(field, value);
      });
    case "message":
      return arbitraryMessage(field.message, options, depth).map((value) => (message) => {
        message.set(field, reflect(field.message, value));
      });
    case "list":
      return fc
        .array(arbitraryItem(field, options, depth), { maxLength: 3 })
        .map((items) => (message) => {
          for (const item of items) message.get(field).add(item);
        });
    case "map": {
      const entry = fc.tuple(
        arbitraryScalar(field.mapKey, options),
        arbitraryItem(field, options, depth),
      );
      return fc.array(entry, { maxLength: 3 }).map((entries) => (message) => {
        for (const [key, item] of entries) {
          if (!(key instanceof Uint8Array)) message.get(field).set(key, item);
        }
      });
    }
  }
}

function arbitraryItem(
  field: DescField & { fieldKind: "list" | "map" },
  options: MessageOptions,
  depth: number,
): fc.Arbitrary<unknown> {
  const { message } = field;
  if (message !== undefined) {
    return arbitraryMessage(message, options, depth).map((value) => reflect(message, value));
  }
  if (field.enum !== undefined) return arbitraryEnum(field.enum, options);
  return arbitraryScalar(field.scalar, options);
}

function arbitraryEnum(
  desc: { readonly values: readonly { readonly number: number }[]; readonly typeName: string },
  { isOpen }: MessageOptions,
): fc.Arbitrary<number> {
  const known = fc.constantFrom(...desc.values.map(({ number }) => number));
  const hasOthers = isOpen && desc.typeName !== "google.protobuf.NullValue";
  return hasOthers ? fc.oneof(known, fc.constant(99)) : known;
}

function arbitraryScalar(
  scalar: ScalarType,
  { isOpen }: MessageOptions,
): fc.Arbitrary<ScalarValue> {
  const finite = { noNaN: !isOpen, noDefaultInfinity: !isOpen };
  switch (scalar) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.string({ unit: "binary", maxLength: 8 });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 8 });
    case ScalarType.FLOAT:
      return fc.float(finite);
    case ScalarType.DOUBLE:
      return fc.double(finite);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.integer();
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.nat({ max: 0xffffffff });
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  }
}

/** Types whose JSON allows only some values. */
function specialMessage(
  desc: DescMessage,
  options: MessageOptions,
  depth: number,
): fc.Arbitrary<Message> | undefined {
  const nanos = fc.nat({ max: 999_999_999 });
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return fc
        .tuple(fc.bigInt({ min: -62135596800n, max: 253402300799n }), nanos)
        .map(([seconds, nanos]) => create(TimestampSchema, { seconds, nanos }));
    case "google.protobuf.Duration":
      return fc
        .tuple(fc.bigInt({ min: 0n, max: 315575999999n }), nanos, fc.boolean())
        .map(([seconds, nanos, isNegative]) =>
          create(DurationSchema, {
            seconds: isNegative ? -seconds : seconds,
            nanos: isNegative ? -nanos : nanos,
          }),
        );
    case "google.protobuf.FieldMask":
      return fc
        .array(fc.constantFrom("a", "foo_bar", "a.b_c"), { maxLength: 3 })
        .map((paths): FieldMask => create(FieldMaskSchema, { paths }));
    case "google.protobuf.Any":
      return fc.oneof(
        fc
          .uint8Array({ maxLength: 8 })
          .map(
            (value): Any =>
              create(AnySchema, { typeUrl: "type.googleapis.com/elsewhere.v1.Thing", value }),
          ),
        fc.string({ maxLength: 8 }).map(
          (value): Any =>
            create(AnySchema, {
              typeUrl: `type.googleapis.com/${StringValueSchema.typeName}`,
              value: toBinary(StringValueSchema, create(StringValueSchema, { value })),
            }),
        ),
      );
    case "google.protobuf.Value":
      return arbitraryValue(desc, options, depth);
    default:
      return undefined;
  }
}

/** A Value always has a kind, and no number that JSON lacks. */
function arbitraryValue(
  desc: DescMessage,
  options: MessageOptions,
  depth: number,
): fc.Arbitrary<Message> {
  const kinds = desc.fields.filter((field) => depth > 0 || field.message === undefined);
  return fc.constantFrom(...kinds).chain((field) =>
    arbitraryField(field, { ...options, isOpen: false }, depth - 1).map((setField) => {
      const value = reflect(desc);
      setField(value, field);
      return value.message;
    }),
  );
}
