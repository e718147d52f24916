import assert from "node:assert/strict";
import { toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Kinds, KindsSchema, KindsService } from "../gen/kinds/v1/kinds_pb.js";
import { type RestServer, type RestServerOptions, startRestServer } from "./support/rest-server.js";

/** A service that answers with the request, and the requests that it was called with. */
async function startKindsServer(options: RestServerOptions = {}) {
  const requests: Kinds[] = [];
  const truncateForError = (request: Kinds) => {
    requests.push(request);
    return request;
  };
  const server = await startRestServer((router) => {
    router.service(KindsService, {
      query: truncateForError,
      put: truncateForError,
      putNested: truncateForError,
      putInteger: truncateForError,
      getNested: truncateForError,
    });
  }, options);
  return { server, requests };
}

describe("createRestHandler", () => {
  let server: RestServer;
  let requests: Kinds[];
  beforeAll(async () => {
    ({ server, requests } = await startKindsServer());
  });
  afterAll(() => server.close());

  /** The request that the service was called with, as JSON of Protobuf-ES. */
  async function received(method: string, path: string, body?: string) {
    const before = requests.length;
    const { status, text } = await server.send(method, path, { body });
    assert.equal(status, 200, text);
    assert.equal(requests.length, before + 1);
    const request = requests.at(-1);
    assert.ok(request);
    return toJson(KindsSchema, request);
  }

  async function refusal(method: string, path: string, body?: string) {
    const before = requests.length;
    const { status, json } = await server.send(method, path, { body });
    assert.equal(requests.length, before, "no call is made");
    return `${status} ${Object(json).error.message}`;
  }

  it.each([
    [
      "i64=9007199254740993&u64=18446744073709551615",
      { i64: "9007199254740993", u64: "18446744073709551615" },
    ],
    ["i32=1e2&i64=1.0", { i32: 100, i64: "1" }],
    ["dbl=-0", { dbl: -0 }],
    ["dbl=1.5e3&flt=Infinity", { dbl: 1500, flt: "Infinity" }],
    ["color=1&colors=RED&colors=-7", { color: "RED", colors: ["RED", "GREEN"] }],
    // Field masks as the .proto spells paths, and by the name of their field.
    ["mask=foo_bar", { mask: "fooBar" }],
    ["mask=foo_bar.baz_qux,a,bC", { mask: "fooBar.bazQux,a,bC" }],
    ["mask.paths=foo_bar&mask.paths=b", { mask: "fooBar,b" }],
    ["mask.paths=fooBar", { mask: "fooBar" }],
    ["nested.mask.paths=a_b", { nested: { mask: "aB" } }],
    // Entries of maps.
    ["by_text[a]=RED&byText[b.c]=-7", { byText: { a: "RED", "b.c": "GREEN" } }],
    [
      "byI64[9007199254740993]=9007199254740993",
      { byI64: { "9007199254740993": "9007199254740993" } },
    ],
    ["byFlag%5Btrue%5D=1.5", { byFlag: { true: 1.5 } }],
    ["byI32[1]=a&byI32[1]=b&byI32[2]=", { byI32: { 1: "a", 2: "" } }],
    ["spanByText[]=1s&spanByText[a]b]=2s", { spanByText: { "": "1s", "a]b": "2s" } }],
    ["nested.byI32[-1]=x", { nested: { byI32: { "-1": "x" } } }],
    ["byText[__proto__]=RED", { byText: JSON.parse('{"__proto__":"RED"}') }],
    // An empty message, chosen by its name alone.
    ["c_empty=", { cEmpty: {} }],
    ["cEmpty", { cEmpty: {} }],
    ["nested=&nested.i32=1", { nested: { i32: 1 } }],
    ["cNested.cEmpty=", { cNested: { cEmpty: {} } }],
    // Members of oneofs and fields with presence keep their zeros.
    ["cText=", { cText: "" }],
    ["cI64=0&maybeI64=0&maybeText=", { cI64: "0", maybeI64: "0", maybeText: "" }],
    ["cSpan=0s", { cSpan: "0s" }],
    ["field_1=a&with__two=b&own_name=c", { field1: "a", withTwo: "b", itsOwn: "c" }],
    ["field1=a&withTwo=b&itsOwn=c", { field1: "a", withTwo: "b", itsOwn: "c" }],
  ])("server 84: reads the query %s", async (query, expected) => {
    assert.deepEqual(await received("GET", `/v1/kinds?${query}`), expected);
  });

  it.each([
    ["i32=0x10", `400 Invalid value at 'i32' (TYPE_INT32), "0x10"`],
    ["i64=0x10", `400 Invalid value at 'i64' (TYPE_INT64), "0x10"`],
    ["i64=%2B1", `400 Invalid value at 'i64' (TYPE_INT64), "+1"`],
    ["i64=+1", `400 Invalid value at 'i64' (TYPE_INT64), " 1"`],
    ["i32=1_0", `400 Invalid value at 'i32' (TYPE_INT32), "1_0"`],
    ["dbl=0x10", `400 Invalid value at 'dbl' (TYPE_DOUBLE), "0x10"`],
    ["dbl=1e400", `400 Invalid value at 'dbl' (TYPE_DOUBLE), "1e400"`],
    ["dbl=nan", `400 Invalid value at 'dbl' (TYPE_DOUBLE), "nan"`],
    ["color=red", `400 Invalid value at 'color' (type.googleapis.com/kinds.v1.Color), "red"`],
    [
      "time=2026-02-30T00:00:00Z",
      `400 Invalid value at 'time' (type.googleapis.com/google.protobuf.Timestamp), "2026-02-30T00:00:00Z"`,
    ],
    [
      "times=2026-01-01T24:00:00Z",
      `400 Invalid value at 'times' (type.googleapis.com/google.protobuf.Timestamp), "2026-01-01T24:00:00Z"`,
    ],
    [
      "span=1s%20",
      `400 Invalid value at 'span' (type.googleapis.com/google.protobuf.Duration), "1s "`,
    ],
    // Masks that no JSON can hold: they would make the answer a 500.
    [
      "mask=foo__bar",
      `400 Invalid value at 'mask' (type.googleapis.com/google.protobuf.FieldMask), "foo__bar"`,
    ],
    ["mask.paths=foo_1", `400 Invalid value at 'mask.paths' (TYPE_STRING), "foo_1"`],
    ["mask.paths=a_", `400 Invalid value at 'mask.paths' (TYPE_STRING), "a_"`],
    ["byI32[0x1]=a", `400 Invalid value at 'by_i32["0x1"]' (TYPE_STRING), "a"`],
    [
      "byText[a]=red",
      `400 Invalid value at 'by_text["a"]' (type.googleapis.com/kinds.v1.Color), "red"`,
    ],
    ["byText=RED", '400 parameter "byText" names a message or a map, not one value'],
    ["nestedByText[a]=", '400 parameter "nestedByText[a]" names a message or a map, not one value'],
    ["text[a]=b", '400 parameter "text[a]" names no field of kinds.v1.Kinds'],
    ["nested=1", '400 parameter "nested" names a message or a map, not one value'],
    ["nesteds=", '400 parameter "nesteds" names a message or a map, not one value'],
    ["value=", '400 parameter "value" names a message or a map, not one value'],
    [
      "time.seconds=1",
      '400 parameter "time.seconds" names a part of a google.protobuf.Timestamp, which is one value',
    ],
    [
      "any.typeUrl=a",
      '400 parameter "any.typeUrl" names a part of a google.protobuf.Any, which is one value',
    ],
    ["cText=a&cI64=1", "400 c_i64 and c_text are both set, and the oneof choice takes one of them"],
    [
      "cEmpty=&cText=a",
      "400 c_text and c_empty are both set, and the oneof choice takes one of them",
    ],
    [
      "cText=&cNested.i32=1",
      "400 c_nested.i32 and c_text are both set, and the oneof choice takes one of them",
    ],
    [
      "nested.cText=a&nested.cFlt=1",
      "400 nested.c_flt and c_text are both set, and the oneof choice takes one of them",
    ],
  ])("server 84: refuses the query %s", async (query, expected) => {
    assert.equal(await refusal("GET", `/v1/kinds?${query}`), expected);
  });

  it("refuses a member of a oneof in the query beside another one in the body", async () => {
    const target = "/v1/kinds/nested?nested.i32=1";
    assert.match(await refusal("PUT", target, "{}"), /^400 parameter "nested.i32" is in the body/);
  });

  it("answers with the exact value of a field that is the body", async () => {
    const answer = await server.send("PUT", "/v1/kinds/integer", { body: "9007199254740993" });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, '"9007199254740993"\n');
    const zero = await server.send("PUT", "/v1/kinds/integer", { body: "0" });
    assert.equal(zero.text, '"0"\n');
    const unset = await server.send("PUT", "/v1/kinds/integer", { body: "null" });
    assert.equal(unset.text, '"0"\n');
  });

  it.each([
    ["nested.i32=1&nested.nested.cI64=0", '{"i32":1,"nested":{"cI64":"0"}}'],
    ["nested.i64s=0", '{"i64s":["0"]}'],
    ["nested=", "{}"],
    ["i32=1", "null"],
  ])("answers %s with one field, without zeros inside it: %s", async (query, text) => {
    const answer = await server.send("GET", `/v1/kinds/nested?prettyPrint=0&${query}`);
    assert.equal(answer.text, text);
  });

  it.each([
    ["field_1", '{"field1":"a"}'],
    ["field1", '{"field1":"a"}'],
    ["with__two", '{"withTwo":"b"}'],
    ["withTwo", '{"withTwo":"b"}'],
    ["own_name", '{"itsOwn":"c"}'],
    ["itsOwn", '{"itsOwn":"c"}'],
    ["nested(field_1,nested/own_name)", '{"nested":{"nested":{"itsOwn":"e"},"field1":"d"}}'],
    ["nested/*/own_name", '{"nested":{"nested":{"itsOwn":"e"},"field1":"d"}}'],
    ["nesteds/field_1", '{"nesteds":[{"field1":"f"},{}]}'],
    ["any/field_1", '{"any":{"field1":"g"}}'],
    ["any(own_name,@type)", '{"any":{"@type":"type.googleapis.com/kinds.v1.Kinds","itsOwn":"h"}}'],
    ["nested_by_text/a_b/field_1", '{"nestedByText":{"a_b":{"field1":"i"}}}'],
    ["nestedByText/*/own_name", '{"nestedByText":{"a_b":{"itsOwn":"j"},"aB":{}}}'],
    ["nestedByText/aB", '{"nestedByText":{"aB":{}}}'],
    ["struct/a_b", '{"struct":{"a_b":1}}'],
  ])("server 88: selects fields=%s by either name", async (fields, expected) => {
    const body = JSON.stringify({
      field1: "a",
      withTwo: "b",
      itsOwn: "c",
      nested: { field1: "d", nested: { itsOwn: "e" } },
      nesteds: [{ field1: "f", i32: 1 }, {}],
      any: { "@type": "type.googleapis.com/kinds.v1.Kinds", field1: "g", itsOwn: "h" },
      nestedByText: { a_b: { field1: "i", itsOwn: "j" }, aB: {} },
      struct: { a_b: 1, c: 2 },
    });
    for (const parameter of ["fields", "$fields"]) {
      const query = `prettyPrint=0&${parameter}=${encodeURIComponent(fields)}`;
      const answer = await server.send("PUT", `/v1/kinds?${query}`, { body });
      assert.equal(answer.text, expected);
    }
  });

  it("writes floats with the fewest digits, and zeros with their sign", async () => {
    const body = '{"flt":0.1,"dbl":-0,"flts":[-0,3.4028235e38],"value":{"-0":-0},"text":"-0"}';
    const compact = await server.send("PUT", "/v1/kinds?prettyPrint=0", { body });
    assert.equal(
      compact.text,
      '{"flt":0.1,"dbl":-0,"text":"-0","value":{"-0":-0},"flts":[-0,3.4028235e+38]}',
    );
    const pretty = await server.send("PUT", "/v1/kinds", { body: '{"dbl":-0}' });
    assert.equal(pretty.text, '{\n  "dbl": -0\n}\n');
  });

  it("reports no internal error for anything that these requests sent", () => {
    assert.deepEqual(server.internalErrors, []);
  });
});

describe("createRestHandler with prefixed system parameters", () => {
  it("leaves the plain names to fields, and takes those with a dollar sign", async () => {
    const { server, requests } = await startKindsServer({ systemParameters: "prefixed" });
    const query = "key=k&fields=f&alt=a&callback=c&$alt=json&$fields=key,alt&%24prettyPrint=0";
    const answer = await server.send("GET", `/v1/kinds?${query}`);
    assert.equal(answer.text, '{"key":"k","alt":"a"}');
    const [request] = requests;
    assert.deepEqual(request && toJson(KindsSchema, request), {
      key: "k",
      fields: "f",
      alt: "a",
      callback: "c",
    });
    assert.equal((await server.send("GET", "/v1/kinds?prettyPrint=0")).status, 400);
    assert.equal((await server.send("GET", "/v1/kinds?$alt=xml")).status, 400);
    await server.close();
  });
});

describe("createRestHandler with unknown names ignored", () => {
  it("drops unknown members and enum names of bodies, and refuses those of queries", async () => {
    const { server, requests } = await startKindsServer({ unknown: "ignore" });
    const body = '{"nope":1,"color":"red","nested":{"nope":[9007199254740993]},"text":"a"}';
    const answer = await server.send("PUT", "/v1/kinds", { body });
    assert.deepEqual(answer.json, { nested: {}, text: "a" });
    assert.equal((await server.send("GET", "/v1/kinds?nope=1")).status, 400);
    assert.equal((await server.send("GET", "/v1/kinds?color=red")).status, 400);
    assert.equal(requests.length, 1);
    await server.close();
  });
});
