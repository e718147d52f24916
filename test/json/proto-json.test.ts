import assert from "node:assert/strict";
import { createRegistry } from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  Int64ValueSchema,
  TimestampSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { describe, it } from "vitest";
import { createMessageJson } from "../../src/json/message-json.js";
import { parseJson } from "../../src/json/parse-json.js";
import { KindsSchema } from "../gen/kinds/v1/kinds_pb.js";

const registry = createRegistry(
  KindsSchema,
  AnySchema,
  DurationSchema,
  Int64ValueSchema,
  TimestampSchema,
  ValueSchema,
);
const strict = createMessageJson({ registry, unknownAny: "refuse", unknownNames: "refuse" });
const lax = createMessageJson({ registry, unknownAny: "refuse", unknownNames: "ignore" });

/** Reads a message from JSON text and writes it again. */
function rewritten(text: string, codec = strict): string {
  const message = codec.read(KindsSchema, parseJson(new TextEncoder().encode(text)));
  return JSON.stringify(codec.write(KindsSchema, message));
}

/**
 * The result of reading a text and writing the message: its JSON without spaces and in the order of the
 * field numbers. The values are those of the specification, worked out by hand.
 */
const accepted: [text: string, expected: string][] = [
  // 64-bit integers beyond 2^53, in every place.
  ['{"i64":9007199254740993}', '{"i64":"9007199254740993"}'],
  ['{"i64":9223372036854775807}', '{"i64":"9223372036854775807"}'],
  ['{"i64":-9223372036854775808}', '{"i64":"-9223372036854775808"}'],
  ['{"u64":18446744073709551615}', '{"u64":"18446744073709551615"}'],
  ['{"s64":-9007199254740993}', '{"s64":"-9007199254740993"}'],
  ['{"f64":18446744073709551615}', '{"f64":"18446744073709551615"}'],
  ['{"sf64":9007199254740993}', '{"sf64":"9007199254740993"}'],
  ['{"i64s":[9007199254740993,1,"2"]}', '{"i64s":["9007199254740993","1","2"]}'],
  ['{"wI64":9007199254740993}', '{"wI64":"9007199254740993"}'],
  ['{"wI64s":[9007199254740993]}', '{"wI64s":["9007199254740993"]}'],
  ['{"byI64":{"1":9007199254740993}}', '{"byI64":{"1":"9007199254740993"}}'],
  [
    '{"byU64":{"18446744073709551615":18446744073709551615}}',
    '{"byU64":{"18446744073709551615":"18446744073709551615"}}',
  ],
  ['{"cI64":9007199254740993}', '{"cI64":"9007199254740993"}'],
  ['{"maybe_i64":9007199254740993}', '{"maybeI64":"9007199254740993"}'],
  [
    '{"nested":{"nesteds":[{"i64":9007199254740993}]}}',
    '{"nested":{"nesteds":[{"i64":"9007199254740993"}]}}',
  ],
  [
    '{"any":{"@type":"type.googleapis.com/kinds.v1.Kinds","i64":9007199254740993}}',
    '{"any":{"@type":"type.googleapis.com/kinds.v1.Kinds","i64":"9007199254740993"}}',
  ],
  [
    '{"any":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":9007199254740993}}',
    '{"any":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"9007199254740993"}}',
  ],
  [
    ' { "text" : "a\\"]" , "i64" : 9007199254740993 , "flags" : [ true , false ] } ',
    '{"i64":"9007199254740993","text":"a\\"]","flags":[true,false]}',
  ],
  // The same digits in fields of other types.
  ['{"dbl":9007199254740993}', '{"dbl":9007199254740992}'],
  ['{"flt":9007199254740993}', '{"flt":9007199000000000}'],
  [
    '{"value":9007199254740993,"struct":{"a":[9007199254740993]}}',
    '{"struct":{"a":[9007199254740992]},"value":9007199254740992}',
  ],
  // Integers with a zero fraction or an exponent, with quotes and without.
  ['{"i32":1.0,"i64":1.0}', '{"i32":1,"i64":"1"}'],
  ['{"i32":1e2,"i64":1e2}', '{"i32":100,"i64":"100"}'],
  ['{"i32":"1.0","i64":"1.0"}', '{"i32":1,"i64":"1"}'],
  ['{"i32":"1e2","u64":"1E+2","s64":"-10e-1"}', '{"i32":100,"u64":"100","s64":"-1"}'],
  ['{"i64":9.007199254740993e15}', '{"i64":"9007199254740993"}'],
  ['{"i64":123456789012345e3}', '{"i64":"123456789012345000"}'],
  ['{"i64":"9.007199254740993e15"}', '{"i64":"9007199254740993"}'],
  ['{"i32":"007","i64":"-007"}', '{"i32":7,"i64":"-7"}'],
  ['{"i32":-0,"i64":"-0","u32":-0}', "{}"],
  ['{"i32":-2147483648,"u32":4294967295}', '{"i32":-2147483648,"u32":4294967295}'],
  ['{"byI32":{"01":"a","-2":"b","1e1":"c"}}', '{"byI32":{"1":"a","10":"c","-2":"b"}}'],
  // Floating-point numbers.
  [
    '{"dbl":"NaN","flt":"-Infinity","dbls":["Infinity"]}',
    '{"flt":"-Infinity","dbl":"NaN","dbls":["Infinity"]}',
  ],
  ['{"dbl":"1.5e3","flt":"-2"}', '{"flt":-2,"dbl":1500}'],
  [
    '{"flt":0.1,"flts":[0.1,1e-45,3.4028235e38,16777216],"wFlt":0.2,"cFlt":0.3,"maybeFlt":0.7}',
    '{"flt":0.1,"wFlt":0.2,"flts":[0.1,1e-45,3.4028235e+38,16777216],"cFlt":0.3,"maybeFlt":0.7}',
  ],
  [
    '{"dbl":0.1,"dbls":[1e-320,1.7976931348623157e308]}',
    '{"dbl":0.1,"dbls":[1e-320,1.7976931348623157e+308]}',
  ],
  // Times.
  ['{"time":"2024-02-29T12:00:00Z"}', '{"time":"2024-02-29T12:00:00Z"}'],
  ['{"time":"2000-02-29T23:59:59.999999999Z"}', '{"time":"2000-02-29T23:59:59.999999999Z"}'],
  ['{"time":"0001-01-01T00:00:00Z"}', '{"time":"0001-01-01T00:00:00Z"}'],
  ['{"time":"9999-12-31T23:59:59.5Z"}', '{"time":"9999-12-31T23:59:59.500Z"}'],
  ['{"time":"2026-01-01T00:30:00+01:00"}', '{"time":"2025-12-31T23:30:00Z"}'],
  ['{"time":"2026-01-01T00:00:00-23:59"}', '{"time":"2026-01-01T23:59:00Z"}'],
  ['{"times":["1972-06-30T23:59:59Z"]}', '{"times":["1972-06-30T23:59:59Z"]}'],
  ['{"span":"1.5s"}', '{"span":"1.500s"}'],
  ['{"span":"-0.000000001s","cSpan":"0s"}', '{"span":"-0.000000001s","cSpan":"0s"}'],
  ['{"span":"-315576000000s"}', '{"span":"-315576000000s"}'],
  // null beside another member of the oneof, which stays.
  ['{"cNested":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cText":"a","cNested":null}', '{"cText":"a"}'],
  ['{"cColor":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cSpan":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cWI64":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cAny":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cI64":null,"cText":"a"}', '{"cText":"a"}'],
  ['{"cText":null,"cAny":{}}', '{"cAny":{}}'],
  ['{"cText":null,"cNested":null}', "{}"],
  // null as a value.
  ['{"cValue":null}', '{"cValue":null}'],
  ['{"cNull":null}', '{"cNull":null}'],
  [
    '{"value":null,"values":[null],"valueByText":{"a":null}}',
    '{"value":null,"values":[null],"valueByText":{"a":null}}',
  ],
  ['{"nothing":null,"i64s":null,"byI32":null,"nested":null,"maybeI64":null,"wText":null}', "{}"],
  // Enums.
  [
    '{"color":"RED","colors":["GREEN",1,"1","-7",77],"byText":{"a":"RED"}}',
    '{"color":"RED","colors":["GREEN","RED","RED","GREEN",77],"byText":{"a":"RED"}}',
  ],
  // Field masks, bytes, names.
  ['{"mask":"a.bC,d"}', '{"mask":"a.bC,d"}'],
  ['{"data":"-_8","wData":"+/8="}', '{"data":"+/8=","wData":"+/8="}'],
  ['{"field_1":"a","with__two":"b","own_name":"c"}', '{"field1":"a","withTwo":"b","itsOwn":"c"}'],
  ['{"struct":{"__proto__":{"a":1},"":""}}', '{"struct":{"__proto__":{"a":1},"":""}}'],
];

const refused: string[] = [
  // Integers out of range or with a fraction.
  '{"i32":2147483648}',
  '{"u32":-1}',
  '{"i64":9223372036854775808}',
  '{"i64":"9223372036854775808"}',
  '{"u64":18446744073709551616}',
  '{"u64":-1}',
  '{"i32":0.5}',
  '{"i64":"0.5"}',
  '{"i32":"1e-1"}',
  '{"i64":1e400}',
  '{"i64":"1e99999999999"}',
  // Lax numbers.
  '{"i32":"0x10"}',
  '{"i64":"0x10"}',
  '{"i64":"0b1"}',
  '{"u64":"0o7"}',
  '{"i32":"+1"}',
  '{"i64":"+1"}',
  '{"i64":" 1"}',
  '{"i32":"1 "}',
  '{"i64":"1\\n"}',
  '{"i64":"1_000"}',
  '{"i32":""}',
  '{"i64":""}',
  '{"i32":"1."}',
  '{"dbl":"0x10"}',
  '{"dbl":"+1"}',
  '{"flt":" 1"}',
  '{"dbl":""}',
  '{"dbl":"1_0"}',
  '{"dbl":"inf"}',
  '{"dbl":"nan"}',
  '{"dbl":"+Infinity"}',
  '{"wI64":"0x1"}',
  '{"i64s":["0x1"]}',
  '{"byI32":{"0x1":"a"}}',
  '{"byI64":{"+1":"1"}}',
  '{"byI64":{" 1":"1"}}',
  '{"anyByI32":{"0x1":{}}}',
  '{"byI32":{"1":"a","01":"b"}}',
  '{"byFlag":{"True":1}}',
  '{"span":"+1s"}',
  '{"span":"0x1s"}',
  // Numbers that the type does not have.
  '{"dbl":1e400}',
  '{"dbl":"1e400"}',
  '{"flt":3.5e38}',
  '{"value":1e400}',
  '{"struct":{"a":{"b":[1e400]}}}',
  '{"listValue":[-1e400]}',
  '{"any":{"@type":"type.googleapis.com/google.protobuf.Value","value":1e400}}',
  // Types of another kind.
  '{"text":9007199254740993}',
  '{"text":1}',
  '{"flag":9007199254740993}',
  '{"flag":"true"}',
  '{"nested":9007199254740993}',
  '{"color":9007199254740993}',
  '{"color":1.5}',
  '{"color":true}',
  '{"time":9007199254740993}',
  '{"i64":[9007199254740993]}',
  '{"i64s":9007199254740993}',
  // Times.
  '{"time":"2026-02-30T00:00:00Z"}',
  '{"time":"2025-02-29T00:00:00Z"}',
  '{"time":"1900-02-29T00:00:00Z"}',
  '{"time":"2026-04-31T00:00:00Z"}',
  '{"time":"2026-00-01T00:00:00Z"}',
  '{"time":"2026-01-00T00:00:00Z"}',
  '{"time":"2026-13-01T00:00:00Z"}',
  '{"time":"2026-01-01T24:00:00Z"}',
  '{"time":"2026-01-01T23:60:00Z"}',
  '{"time":"2026-12-31T23:59:60Z"}',
  '{"time":"2026-01-01T00:00:00+24:00"}',
  '{"time":"2026-01-01T00:00:00+00:60"}',
  '{"time":"0001-01-01T00:00:00+00:01"}',
  '{"time":"0000-12-31T00:00:00Z"}',
  '{"time":"2026-01-01T00:00:00z"}',
  '{"time":"2026-01-01t00:00:00Z"}',
  '{"time":"2026-01-01 00:00:00Z"}',
  '{"time":"2026-1-1T00:00:00Z"}',
  '{"time":"2026-01-01T00:00:00.Z"}',
  '{"time":"2026-01-01T00:00:00.1234567890Z"}',
  '{"time":"2026-01-01T00:00:00"}',
  '{"times":["2026-02-30T00:00:00Z"]}',
  '{"any":{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"2026-02-30T00:00:00Z"}}',
  '{"span":"1s "}',
  '{"span":"1sec"}',
  '{"span":"1"}',
  '{"span":".5s"}',
  '{"span":"1.s"}',
  '{"span":"1.1234567890s"}',
  '{"span":"315576000001s"}',
  '{"cSpan":"1s "}',
  // Unknown names.
  '{"timeuot":"0s"}',
  '{"nested":{"nope":1}}',
  '{"nesteds":[{"nope":1}]}',
  '{"nestedByText":{"a":{"nope":1}}}',
  '{"any":{"@type":"type.googleapis.com/kinds.v1.Kinds","nope":1}}',
  '{"__proto__":{}}',
  '{"color":"red"}',
  '{"color":"NOPE"}',
  '{"colors":["RED","red"]}',
  '{"byText":{"a":"red"}}',
  '{"cColor":"red"}',
  '{"maybeColor":""}',
  // Halves of surrogate pairs.
  '{"text":"\\ud800"}',
  '{"value":"\\ud800"}',
  '{"struct":{"a":"\\udc00"}}',
  '{"struct":{"\\ud800":1}}',
  '{"listValue":["\\ud800"]}',
  '{"value":{"a":[{"\\udfff":1}]}}',
  '{"mask":"\\ud800"}',
  '{"byI32":{"1":"\\ud800"}}',
  '{"byText":{"\\ud800":1}}',
  '{"valueByText":{"a":"\\ud800"}}',
  // Oneofs and names given twice.
  '{"cText":"a","cI64":1}',
  '{"cText":"","cAny":{}}',
  '{"cValue":null,"cText":"a"}',
  '{"maybe_i64":1,"maybeI64":1}',
  // null in lists and maps.
  '{"i64s":[null]}',
  '{"nesteds":[null]}',
  '{"byI64":{"1":null}}',
  '{"wI64s":[null]}',
  // Others.
  '{"mask":"a_b"}',
  '{"data":"*"}',
];

describe("ProtoJSON", () => {
  it.each(accepted)("server 84: reads %s as %s", (text, expected) => {
    assert.equal(rewritten(text), expected);
  });

  it.each(refused)("server 84: refuses %s", (text) => {
    assert.throws(() => rewritten(text));
  });

  it.each([
    ['{"timeuot":"0s","text":"a"}', '{"text":"a"}'],
    ['{"nested":{"nope":9007199254740993}}', '{"nested":{}}'],
    [
      '{"color":"red","colors":["RED","red"],"byText":{"a":"red","b":"RED"}}',
      '{"colors":["RED"],"byText":{"b":"RED"}}',
    ],
  ])("reads %s as %s if unknown names are ignored", (text, expected) => {
    assert.equal(rewritten(text, lax), expected);
  });

  it.each([
    ['{"flt":-0}', 1],
    ['{"dbl":-0.0}', 1],
    ['{"dbls":[0,-0,"-0"]}', 2],
    ['{"value":-0,"struct":{"a":[-0]},"values":[{"b":-0}]}', 3],
    ['{"wDbl":-0,"byFlag":{"true":-0},"nested":{"cFlt":-0}}', 3],
    ['{"any":{"@type":"type.googleapis.com/kinds.v1.Kinds","maybeFlt":-0}}', 1],
    ['{"dbl":0,"i32":-0,"i64":-0,"text":"-0"}', 0],
  ])("keeps the sign of zeros in %s, and reports %i of them", (text, count) => {
    const message = strict.read(KindsSchema, parseJson(new TextEncoder().encode(text)));
    let reported = 0;
    const json = strict.write(KindsSchema, message, {
      onNegativeZero() {
        reported += 1;
      },
    });
    assert.equal(reported, count);
    let found = 0;
    JSON.stringify(json, (_, value) => {
      if (Object.is(value, -0)) found += 1;
      return value;
    });
    assert.equal(found, count);
  });
});
