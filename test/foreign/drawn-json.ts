import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

/** Texts that are not numbers by ProtoJSON, or hardly. */
const oddNumbers = [
  "",
  " ",
  "0x10",
  "0b1",
  "0o7",
  "+1",
  " 1",
  "1 ",
  "1\\n",
  "1_000",
  "1,0",
  "1.",
  ".5",
  "--1",
  "1e",
  "e1",
  "1.0",
  "1e2",
  "1E+2",
  "-10e-1",
  "5e-1",
  "1.5",
  "01",
  "-007",
  "-0",
  "00",
  "1e400",
  "-1e400",
  "nan",
  "NaN",
  "inf",
  "Infinity",
  "-Infinity",
  "+Infinity",
  "infinity",
  "9007199254740993",
  "9007199254740993.0",
  "2147483647",
  "2147483648",
  "-2147483648",
  "-2147483649",
  "4294967295",
  "4294967296",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775808",
  "-9223372036854775809",
  "18446744073709551615",
  "18446744073709551616",
  "123456789012345e3",
  "1e18",
  "1e19",
  "1e20",
  "3.4e38",
  "3.5e38",
  "-3.5e38",
  "1e-400",
  "0.1",
  "16777217",
  "true",
  "null",
];

const isJsonNumber = (text: string) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);

/** A text for a number, in the quoted form of ProtoJSON. */
const numberText = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...oddNumbers) },
  { weight: 2, arbitrary: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String) },
  { weight: 2, arbitrary: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 65n }).map(String) },
  { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String) },
);

const numberJson = numberText.chain((text) =>
  fc.constantFrom(...(isJsonNumber(text) ? [text, quoted(text)] : [quoted(text)])),
);

function quoted(text: string): string {
  // The texts above have their escapes already.
  return `"${text}"`;
}

const two = (max: number) => fc.nat(max).map((value) => String(value).padStart(2, "0"));
const timestampText = fc
  .record({
    year: fc.constantFrom("2024", "2025", "1900", "2000", "0001", "0000", "9999", "1970", "24"),
    month: fc.oneof(two(13), fc.constantFrom("02", "04")),
    day: fc.oneof(two(32), fc.constantFrom("28", "29", "30", "31")),
    hour: fc.oneof(two(24), fc.constantFrom("24", "23")),
    minute: two(60),
    second: two(61),
    fraction: fc.oneof(
      fc.constantFrom("", "", ".", ".5", ".123456789", ".1234567890"),
      fc.nat(999_999).map((value) => `.${value}`),
    ),
    zone: fc.constantFrom(
      "Z",
      "Z",
      "Z",
      "+01:00",
      "-23:59",
      "+24:00",
      "+00:60",
      "z",
      "",
      "+1:0",
      "+0100",
    ),
    t: fc.constantFrom("T", "T", "T", "T", "T", "t", " "),
  })
  .map(
    (p) =>
      `${p.year}-${p.month}-${p.day}${p.t}${p.hour}:${p.minute}:${p.second}${p.fraction}${p.zone}`,
  );

const durationText = fc
  .record({
    sign: fc.constantFrom("", "", "-", "+"),
    seconds: fc.constantFrom(
      "0",
      "1",
      "007",
      "315576000000",
      "315576000001",
      "",
      "0x1",
      "1e2",
      "1_0",
    ),
    fraction: fc.constantFrom("", "", ".", ".5", ".000000001", ".123456789", ".1234567890"),
    end: fc.constantFrom("s", "s", "s", "s", "", "s ", "sec", " s", "S"),
  })
  .map((p) => p.sign + p.seconds + p.fraction + p.end);

const maskText = fc
  .array(fc.constantFrom("a", "aB", "a.bC", "", "A", "a1", "a_b", "a__b", "a_1", "*"), {
    maxLength: 3,
  })
  .map((paths) => paths.join(","));

/** A text in JSON, without its quotes. */
const plainText = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "\\u00e9",
    "é",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00x",
    "\\u0000",
    'a\\"b',
    "RED",
    "1",
  ),
  fc.string({ maxLength: 5 }).map((text) => JSON.stringify(text).slice(1, -1)),
);

const bytesText = fc.oneof(
  fc.constantFrom(
    "",
    "AA==",
    "AA",
    "-_8",
    "+/8=",
    "-_8=",
    "A",
    "AAA",
    "A A=",
    "****",
    "AA=A",
    "==",
  ),
  fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString("base64")),
);

const enumText = fc.constantFrom(
  "RED",
  "GREEN",
  "COLOR_UNSPECIFIED",
  "red",
  "NOPE",
  "",
  "1",
  "-7",
  "77",
  "1.0",
  "+1",
  " 1",
  "2147483648",
  "RED ",
);

/** The text of a value in a query or a path. Halves of surrogate pairs have no place in a URL. */
export function wordText(field: DescField): fc.Arbitrary<string> {
  const unescaped = (text: fc.Arbitrary<string>) =>
    text
      .map((literal): string => JSON.parse(`"${literal}"`))
      .filter((one) => !/\p{Surrogate}/u.test(one));
  switch (field.message?.typeName) {
    case "google.protobuf.Timestamp":
      return timestampText;
    case "google.protobuf.Duration":
      return durationText;
  }
  const [wrapped] =
    field.message !== undefined && isWrapperDesc(field.message) ? field.message.fields : [];
  if (wrapped !== undefined) return wordText(wrapped);
  if (field.enum !== undefined) return unescaped(enumText);
  switch (field.scalar) {
    case ScalarType.BOOL:
      return fc.constantFrom("true", "false", "True", "1", "", " true");
    case ScalarType.STRING:
      return unescaped(plainText);
    case ScalarType.BYTES:
      return unescaped(bytesText);
    default:
      return unescaped(numberText);
  }
}

/** JSON of any kind, small. */
const anyJson = fc.oneof(
  fc.constantFrom(
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.5",
    "1e400",
    '""',
    '"a"',
    "[]",
    "{}",
    "[1,null]",
    '{"a":[{"b":1e400}]}',
    '"\\ud800"',
    '{"\\ud800":1}',
    "9007199254740993",
  ),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
);

function structJson(): fc.Arbitrary<string> {
  return fc.array(fc.tuple(plainText, anyJson), { maxLength: 2 }).map(objectText);
}

function objectText(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, value]) => `"${name}":${value}`).join(",")}}`;
}

const enumJson = fc.oneof(
  enumText.map(quoted),
  fc.constantFrom("0", "1", "-7", "77", "1.0", "1.5", "2147483648", "9007199254740993", "true"),
);

/** JSON for a value of a field, of an item of its list, or of an entry of its map. */
function itemJson(field: DescField, depth: number): fc.Arbitrary<string> {
  const { message, enum: desc } = field;
  if (desc?.typeName === "google.protobuf.NullValue") {
    return fc.constantFrom("null", '"NULL_VALUE"', "0", '"null"');
  }
  if (desc !== undefined) return enumJson;
  if (message !== undefined) return messageJson(message, depth);
  switch (field.scalar) {
    case ScalarType.BOOL:
      return fc.constantFrom("true", "false", '"true"', "1", "0", '""');
    case ScalarType.STRING:
      return fc.oneof(
        { weight: 6, arbitrary: plainText.map(quoted) },
        { weight: 1, arbitrary: anyJson },
      );
    case ScalarType.BYTES:
      return bytesText.map(quoted);
    default:
      return numberJson;
  }
}

function messageJson(desc: DescMessage, depth: number): fc.Arbitrary<string> {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return timestampText.map(quoted);
    case "google.protobuf.Duration":
      return durationText.map(quoted);
    case "google.protobuf.FieldMask":
      return maskText.map(quoted);
    case "google.protobuf.Struct":
      return structJson();
    case "google.protobuf.Value":
      return anyJson;
    case "google.protobuf.ListValue":
      return fc.array(anyJson, { maxLength: 3 }).map((items) => `[${items.join(",")}]`);
    case "google.protobuf.Any":
      return fc.constantFrom(
        "{}",
        '{"@type":"type.googleapis.com/kinds.v1.Kinds","i64":9007199254740993}',
        '{"@type":"type.googleapis.com/kinds.v1.Kinds","nope":1}',
        '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.5s"}',
        '{"@type":"type.googleapis.com/google.protobuf.Value","value":{"a":1}}',
        '{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"9007199254740993"}',
        '{"value":1}',
        '{"@type":""}',
        '{"@type":1}',
      );
  }
  const [wrapped] = isWrapperDesc(desc) ? desc.fields : [];
  return wrapped === undefined ? objectJson(desc, depth) : itemJson(wrapped, depth);
}

const otherKinds = fc.constantFrom("null", "[]", "{}", "1", '"a"', "true", "[null]", '{"a":null}');

function fieldJson(field: DescField, depth: number): fc.Arbitrary<string> {
  const item = itemJson(field, depth);
  let right: fc.Arbitrary<string> = item;
  if (field.fieldKind === "list") {
    right = fc.array(item, { maxLength: 3 }).map((items) => `[${items.join(",")}]`);
  } else if (field.fieldKind === "map") {
    const key =
      field.mapKey === ScalarType.STRING
        ? plainText
        : field.mapKey === ScalarType.BOOL
          ? fc.constantFrom("true", "false", "True", "1", "")
          : numberText;
    right = fc.array(fc.tuple(key, item), { maxLength: 3 }).map(objectText);
  }
  return fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: otherKinds });
}

function memberJson(desc: DescMessage, depth: number): fc.Arbitrary<readonly [string, string]> {
  const fields = desc.fields.filter(({ message }) => message !== desc || depth > 0);
  return fc.constantFrom(...fields).chain((field) => {
    const name = fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(field.jsonName, field.name) },
      { weight: 1, arbitrary: fc.constant(`${field.name}x`) },
    );
    return fc.tuple(name, fieldJson(field, depth - 1));
  });
}

function objectJson(desc: DescMessage, depth: number): fc.Arbitrary<string> {
  if (desc.fields.length === 0) return fc.constantFrom("{}", '{"a":1}');
  return fc
    .array(memberJson(desc, depth), { minLength: depth > 1 ? 1 : 0, maxLength: 2 })
    .map(objectText);
}

/** The JSON text of a message: valid, nearly valid, or broken. */
export function messageText(desc: DescMessage): fc.Arbitrary<string> {
  const text = fc.oneof(
    { weight: 5, arbitrary: memberJson(desc, 2).map((member) => objectText([member])) },
    { weight: 2, arbitrary: objectJson(desc, 2) },
  );
  const broken = fc
    .tuple(text, fc.nat(1000), fc.constantFrom("", ",", '"', "}", " ", "x"))
    .map(([whole, place, put]) => {
      const at = place % (whole.length + 1);
      return whole.slice(0, at) + put + whole.slice(at + (put === "" ? 1 : 0));
    });
  return fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: broken });
}
