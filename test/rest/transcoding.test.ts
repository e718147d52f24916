import assert from "node:assert/strict";
import { toJson } from "@bufbuild/protobuf";
import { cors } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, it } from "vitest";
import { restCors } from "../../src/rest/index.js";
import { createWebHandler } from "../../src/web/index.js";
import { BookSchema } from "../gen/library/v1/library_pb.js";
import { type LibraryServer, startLibraryServer } from "./support/library-server.js";

describe("createRestHandler", () => {
  let library: LibraryServer;
  beforeAll(async () => {
    library = await startLibraryServer();
  });
  afterAll(() => library.close());

  /** The method that a request reaches, and the message that it gets there, as JSON. */
  async function received(method: string, path: string, body?: string) {
    const before = library.calls.length;
    const answer = await library.send(method, path, { body });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(library.calls.length, before + 1);
    const [name, book] = library.calls.at(-1) ?? [];
    assert.ok(book);
    return [name, toJson(BookSchema, book)];
  }

  async function refusal(method: string, path: string, body?: string) {
    const before = library.calls.length;
    const { status, json } = await library.send(method, path, { body });
    assert.equal(library.calls.length, before, "no call is made");
    assert.ok(typeof json === "object" && json !== null);
    // The error of an RPC's path is in Connect's JSON.
    const error = "error" in json ? json.error : json;
    assert.ok(typeof error === "object" && error !== null && "message" in error);
    return `${status} ${error.message}`;
  }

  it.each([
    // The rows of the comment in google/api/http.proto, with its messages as books.
    ["GET", "/v1/books/123456", undefined, "GetByName", { name: "books/123456" }],
    [
      "GET",
      "/v1/byId/123456?page_count=2&shelf.theme=foo",
      undefined,
      "GetById",
      { id: "123456", pageCount: 2, shelf: { theme: "foo" } },
    ],
    [
      "PATCH",
      "/v1/byId/123456",
      '{"theme":"Hi!"}',
      "UpdateShelf",
      { id: "123456", shelf: { theme: "Hi!" } },
    ],
    ["PUT", "/v1/byId/123456", '{"room":"Hi!"}', "UpdateAll", { id: "123456", room: "Hi!" }],
    ["GET", "/v1/byId/123456", undefined, "GetById", { id: "123456" }],
    [
      "GET",
      "/v1/shelves/7/byId/123456",
      undefined,
      "GetById",
      { id: "123456", shelf: { number: 7 } },
    ],
  ])("server 83: maps %s %s with body %s as http.proto's examples do", async (...row) => {
    const [method, path, body, name, message] = row;
    assert.deepEqual(await received(method, path, body), [name, message]);
  });

  it.each([
    ["pageCount=2", { pageCount: 2 }],
    ["page_count=-2", { pageCount: -2 }],
    ["wordCount=9223372036854775807", { wordCount: "9223372036854775807" }],
    ["lent=true&weight=1e3", { lent: true, weight: 1000 }],
    ["weight=NaN", { weight: "NaN" }],
    ["cover=%2B%2F8%3D", { cover: "+/8=" }],
    ["cover=-_8", { cover: "+/8=" }],
    ["cover=+/8=", { cover: "+/8=" }],
    ["genre=GENRE_FICTION", { genre: "GENRE_FICTION" }],
    [
      "genre=1&genres=0&genres=GENRE_FICTION",
      {
        genre: "GENRE_FICTION",
        genres: ["GENRE_UNSPECIFIED", "GENRE_FICTION"],
      },
    ],
    ["genre=77", { genre: 77 }],
    ["tags=a&tags=b%20c&tags=d+e", { tags: ["a", "b c", "d e"] }],
    ["tags=", { tags: [""] }],
    ["publishTime=2024-02-29T12:00:00Z", { publishTime: "2024-02-29T12:00:00Z" }],
    ["loan_duration=1.5s", { loanDuration: "1.500s" }],
    ["mask=a,b.cD", { mask: "a,b.cD" }],
    ["signed=false", { signed: false }],
    [
      "shelf.number=1&sequel.sequel.shelf.theme=x",
      {
        shelf: { number: 1 },
        sequel: { sequel: { shelf: { theme: "x" } } },
      },
    ],
    ["room=%C3%A9%00", { room: "é\0" }],
    ["page_count=1&pageCount=2&pageCount=x", { pageCount: 1 }],
    ["&&page_count=1&", { pageCount: 1 }],
  ])("server 84: reads the query %s", async (query, fields) => {
    const [, message] = await received("GET", `/v1/byId/i?${query}`);
    assert.deepEqual(message, { id: "i", ...fields });
  });

  it.each([
    ["nope=1", '400 parameter "nope" names no field of library.v1.Book'],
    ["shelf.nope=1", '400 parameter "shelf.nope" names no field of library.v1.Book'],
    ["tags.x=1", '400 parameter "tags.x" names no field of library.v1.Book'],
    ["__proto__=1", '400 parameter "__proto__" names no field of library.v1.Book'],
    ["constructor.name=1", '400 parameter "constructor.name" names no field of library.v1.Book'],
    ["=1", '400 parameter "" names no field of library.v1.Book'],
    ["id=j", '400 parameter "id" is in the path'],
    ["shelf=1", '400 parameter "shelf" names a message or a map, not one value'],
    ["labels=1", '400 parameter "labels" names a message or a map, not one value'],
    ["extra=1", '400 parameter "extra" names a message or a map, not one value'],
    ["notes=1", '400 parameter "notes" names a message or a map, not one value'],
    ["page_count=abc", `400 Invalid value at 'page_count' (TYPE_INT32), "abc"`],
    ["pageCount=1.5", `400 Invalid value at 'page_count' (TYPE_INT32), "1.5"`],
    ["pageCount=0x10", `400 Invalid value at 'page_count' (TYPE_INT32), "0x10"`],
    ["pageCount=", `400 Invalid value at 'page_count' (TYPE_INT32), ""`],
    ["pageCount=2147483648", `400 Invalid value at 'page_count' (TYPE_INT32), "2147483648"`],
    ["lent=yes", `400 Invalid value at 'lent' (TYPE_BOOL), "yes"`],
    ["weight=heavy", `400 Invalid value at 'weight' (TYPE_DOUBLE), "heavy"`],
    ["cover=*", `400 Invalid value at 'cover' (TYPE_BYTES), "*"`],
    ["genre=NOPE", `400 Invalid value at 'genre' (type.googleapis.com/library.v1.Genre), "NOPE"`],
    [
      "loanDuration=soon",
      `400 Invalid value at 'loan_duration' (type.googleapis.com/google.protobuf.Duration), "soon"`,
    ],
    ["room=%ff", '400 "%ff" is not percent-encoded UTF-8'],
    ["room=%2", '400 "%2" is not percent-encoded UTF-8'],
  ])("server 84: refuses the query %s", async (query, expected) => {
    assert.equal(await refusal("GET", `/v1/byId/i?${query}`), expected);
  });

  it("names the field of a wrong parameter in a BadRequest", async () => {
    const { json } = await library.send("GET", "/v1/byId/i?shelf.nope=1");
    const reason = "UNKNOWN_PARAMETER";
    const message = 'parameter "shelf.nope" names no field of library.v1.Book';
    assert.deepEqual(json, {
      error: {
        code: 400,
        message,
        status: "INVALID_ARGUMENT",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason,
            domain: "connect-longrunning",
            metadata: { parameter: "shelf.nope" },
          },
          {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            fieldViolations: [{ field: "shelf.nope", description: message, reason }],
          },
        ],
      },
    });
  });

  it.each([
    ["GET", "/v1/byId/a%2Fb%20%C3%A9", { id: "a/b é" }],
    ["GET", "/v1/byId/a%3Ab", { id: "a:b" }],
    ["GET", "/v1/byId/a:b", { id: "a:b" }],
    ["GET", "/v1/byId/a:b:c:", { id: "a:b:c:" }],
    ["GET", "/v1/byId/..", { id: ".." }],
    ["GET", "/v1/byId/%252F", { id: "%2F" }],
    ["GET", "/v1/byId/a+b", { id: "a+b" }],
    ["GET", "/v1/books/a%2Fb%20c", { name: "books/a%2Fb c" }],
    ["PURGE", "/v1/books/a/b%2fc/d:purge", { name: "books/a/b%2fc/d" }],
    ["PURGE", "/v1/books:purge", { name: "books" }],
  ])("server 87: decodes %s %s once, and keeps the slashes of longer names", async (...row) => {
    const [method, path, message] = row;
    const [, got] = await received(method, path);
    assert.deepEqual(got, message);
  });

  it.each([
    ["GET", "/v1/byId/%zz", '400 "/v1/byId/%zz" is not percent-encoded UTF-8'],
    ["GET", "/v1/byId/%ff", '400 "%ff" is not percent-encoded UTF-8'],
    ["GET", "/v1/byId/", '404 nothing is served at "/v1/byId/"'],
    ["GET", "/v1//byId/x", '404 nothing is served at "/v1//byId/x"'],
    ["GET", "//v1/byId/x", '404 nothing is served at "//v1/byId/x"'],
    ["GET", "/v1/watch", '404 nothing is served at "/v1/watch"'],
    ["GET", "/", '404 nothing is served at "/"'],
    [
      "POST",
      "/library.v1.LibraryService/GetById",
      '404 nothing is served at "/library.v1.LibraryService/GetById"',
    ],
    [
      "DELETE",
      "/v1/byId/x",
      "405 DELETE is not for /v1/byId/x, which takes GET, HEAD, OPTIONS, PATCH, PUT",
    ],
    ["PURGE", "/v1/books/x", "405 PURGE is not for /v1/books/x, which takes GET, HEAD, OPTIONS"],
  ])("refuses %s %s", async (method, path, expected) => {
    assert.equal(await refusal(method, path), expected);
  });

  it("names the methods that a path takes, with 405 and to OPTIONS", async () => {
    const { header } = await library.send("DELETE", "/v1/byId/x");
    assert.equal(header.allow, "GET, HEAD, OPTIONS, PATCH, PUT");
    const options = await library.send("OPTIONS", "/v1/byId/x");
    assert.equal(options.status, 204);
    assert.equal(options.header.allow, "GET, HEAD, OPTIONS, PATCH, PUT");
    assert.equal((await library.send("OPTIONS", "/nowhere")).status, 404);
  });

  it("answers HEAD as GET, without the body", async () => {
    const get = await library.send("GET", "/v1/byId/x");
    const head = await library.send("HEAD", "/v1/byId/x");
    assert.equal(head.status, 200);
    assert.equal(head.header["content-length"], String(get.bytes.length));
    assert.equal(head.header["content-type"], get.header["content-type"]);
    assert.equal(head.bytes.length, 0);
    assert.equal((await library.send("HEAD", "/nowhere")).status, 404);
  });

  it.each([
    ["PUT", "/v1/byId/i", '{"name":"n","id":"other"}', { id: "i", name: "n" }],
    ["PUT", "/v1/byId/i", "", { id: "i" }],
    ["PUT", "/v1/byId/i", "{}", { id: "i" }],
    ["PUT", "/v1/byId/i", " \n{}\n", { id: "i" }],
    ["PUT", "/v1/byId/i", '{"page_count":"3","lent":null}', { id: "i", pageCount: 3 }],
    ["PATCH", "/v1/byId/i?page_count=3", "", { id: "i", pageCount: 3 }],
    ["PATCH", "/v1/byId/i?tags=t", '{"number":2}', { id: "i", tags: ["t"], shelf: { number: 2 } }],
    ["PUT", "/v1/byId/i/tags", '["a","b"]', { id: "i", tags: ["a", "b"] }],
    [
      "PUT",
      "/v1/byId/i",
      '{"notes":{"__proto__":{"x":1},"constructor":2}}',
      { id: "i", notes: JSON.parse('{"__proto__":{"x":1},"constructor":2}') },
    ],
  ])("reads %s %s with the body %s", async (method, path, body, message) => {
    const [, got] = await received(method, path, body);
    assert.deepEqual(got, message);
  });

  it.each([
    ["PUT", "/v1/byId/i", "[]", "400 the body is not a JSON object"],
    ["PUT", "/v1/byId/i", "null", "400 the body is not a JSON object"],
    ["PUT", "/v1/byId/i", "{", "400 the body is not JSON"],
    ["PUT", "/v1/byId/i", "\u0000", "400 the body is not JSON"],
    [
      "PUT",
      "/v1/byId/i",
      '{"a":1,"\\u0061":2}',
      "400 the body has an object with the same name twice",
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"pageCount":1,"page_count":2}',
      "400 page_count is set twice, by both of its names",
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"room":"r","spot":{}}',
      "400 spot and room are both set, and the oneof place takes one of them",
    ],
    ["PUT", "/v1/byId/i", '{"pageCuont":1}', '400 "pageCuont" is not a field of library.v1.Book'],
    [
      "PUT",
      "/v1/byId/i",
      '{"sequel":{"shelf":{"nope":{}}}}',
      '400 "sequel.shelf.nope" is not a field of library.v1.Shelf',
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"__proto__":{"name":"n"}}',
      '400 "__proto__" is not a field of library.v1.Book',
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"extras":[{},{"@type":"type.googleapis.com/library.v1.Shelf","nope":1}]}',
      '400 "extras[1].nope" is not a field of library.v1.Shelf',
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"genres":["GENRE_FICTION","fiction"]}',
      `400 Invalid value at 'genres[1]' (type.googleapis.com/library.v1.Genre), "fiction"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"labels":{"a":"b","c":1}}',
      `400 Invalid value at 'labels["c"]' (TYPE_STRING), "1"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"wordCount":9223372036854775808}',
      `400 Invalid value at 'word_count' (TYPE_INT64), "9223372036854775808"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"pageCount":"x"}',
      `400 Invalid value at 'page_count' (TYPE_INT32), "x"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"name":"\\ud800"}',
      `400 Invalid value at 'name' (TYPE_STRING), "\ufffd"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"shelf":{"number":[]}}',
      `400 Invalid value at 'shelf.number' (TYPE_INT32), "[]"`,
    ],
    [
      "PUT",
      "/v1/byId/i?lent=true",
      "{}",
      '400 parameter "lent" has no place beside a body that is all',
    ],
    ["PATCH", "/v1/byId/i?shelf.number=1", "{}", '400 parameter "shelf.number" is in the body'],
    [
      "PATCH",
      "/v1/byId/i",
      "[1]",
      `400 Invalid value at 'shelf' (type.googleapis.com/library.v1.Shelf), "[1]"`,
    ],
    [
      "PUT",
      "/v1/byId/i",
      '{"extra":{"@type":"type.googleapis.com/elsewhere.Thing","a":1}}',
      `400 Invalid value at 'extra' (type.googleapis.com/google.protobuf.Any), "{"@type":"type.googleapis.com/elsewhere.Thing","a":1}"`,
    ],
  ])("refuses %s %s with the body %s", async (method, path, body, expected) => {
    assert.equal(await refusal(method, path, body), expected);
  });

  it("server 85: refuses a body for a rule without one, and accepts an empty body", async () => {
    assert.equal(await refusal("GET", "/v1/byId/i", "{}"), "400 GET takes no body here");
    const empty: Record<string, string>[] = [
      { "content-length": "0" },
      { "content-type": "application/json" },
      { "transfer-encoding": "chunked" },
    ];
    for (const header of empty) {
      assert.equal((await library.send("GET", "/v1/byId/i", { header })).status, 200);
    }
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "application/json; charset=latin1",
    "",
  ])("answers 415 to a body of type %j", async (type) => {
    const request = { body: "{}", header: { "content-type": type } };
    const { status } = await library.send("PUT", "/v1/byId/i", request);
    assert.equal(status, 415);
  });

  it.each([
    "application/json",
    "Application/JSON ; Charset=UTF-8",
    'application/json;charset="utf-8"',
  ])("reads a body of type %s", async (type) => {
    const request = { body: "{}", header: { "content-type": type } };
    assert.equal((await library.send("PUT", "/v1/byId/i", request)).status, 200);
  });

  it("rejects a body that is not UTF-8", async () => {
    const body = Buffer.from([0x22, 0xff, 0x22]);
    const { status, text } = await library.send("PUT", "/v1/byId/i", { body });
    assert.equal(status, 400);
    assert.match(text, /the body is not UTF-8/);
  });

  it("answers with the response_body field, including its zero", async () => {
    assert.deepEqual((await library.send("GET", "/v1/byId/i/shelf?shelf.number=2")).json, {
      number: 2,
    });
    assert.deepEqual((await library.send("GET", "/v1/byId/i/shelf")).json, null);
    assert.deepEqual((await library.send("GET", "/v1/byId/i/shelf?shelf=")).json, {});
    assert.deepEqual((await library.send("GET", "/v1/byId/i/tags?tags=a")).json, ["a"]);
    assert.deepEqual((await library.send("GET", "/v1/byId/i/tags")).json, []);
  });

  it("takes and gives the bytes of a google.api.HttpBody as they are", async () => {
    const body = Buffer.from([0, 255, 60]);
    const header = { "content-type": "image/png" };
    for (const path of ["/v1/scan", "/v1/scan/3"]) {
      const answer = await library.send("POST", path, { body, header });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.header["content-type"], "image/png");
      assert.deepEqual(answer.bytes, body);
    }
  });

  it("answers the web's Request as it does Node's", async () => {
    const web = createWebHandler({ routes: () => {}, handlers: () => [library.rest] });
    const get = await web.fetch(new Request("http://h/v1/byId/i?pageCount=2#part"));
    assert.equal(get.status, 200);
    assert.deepEqual(await get.json(), { id: "i", pageCount: 2 });
    const put = new Request("http://h/v1/byId/i", { method: "PUT", body: '{"lent":true}' });
    put.headers.set("content-type", "application/json");
    assert.deepEqual(await (await web.fetch(put)).json(), { id: "i", lent: true });
    const head = await web.fetch(new Request("http://h/v1/byId/i", { method: "HEAD" }));
    assert.equal(await head.text(), "");
    const options = new Request("http://h/v1/byId/i", { method: "OPTIONS" });
    assert.equal((await web.fetch(options)).status, 204);
  });
});

describe("restCors", () => {
  it("allows what Connect's own allows, and the methods and headers of REST", () => {
    for (const list of ["allowedMethods", "allowedHeaders", "exposedHeaders"] as const) {
      for (const one of cors[list]) assert.ok(restCors[list].includes(one), one);
      assert.equal(new Set(restCors[list]).size, restCors[list].length);
    }
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]) {
      assert.ok(restCors.allowedMethods.includes(method), method);
    }
    assert.ok(restCors.allowedHeaders.includes("X-Goog-FieldMask"));
  });
});
