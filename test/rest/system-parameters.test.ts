import assert from "node:assert/strict";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { BookSchema } from "../gen/library/v1/library_pb.js";
import { type LibraryServer, startLibraryServer } from "./support/library-server.js";

describe("system parameters", () => {
  let library: LibraryServer;
  let headers = new Headers();
  const keep: Interceptor = (next) => (request) => {
    headers = new Headers(request.header);
    return next(request);
  };
  beforeAll(async () => {
    library = await startLibraryServer({ router: { interceptors: [keep] }, jsonp: true });
  });
  afterAll(() => library.close());
  beforeEach(() => {
    headers = new Headers();
  });

  const get = (query: string, header?: Record<string, string>) =>
    library.send("GET", `/v1/byId/i?${query}`, { header });

  it("indents the answer and ends it with a line feed, unless prettyPrint says no", async () => {
    assert.equal((await get("lent=true")).text, '{\n  "id": "i",\n  "lent": true\n}\n');
    for (const query of ["prettyPrint=false", "$prettyPrint=0", "%24prettyPrint=0"]) {
      assert.equal((await get(`${query}&lent=true`)).text, '{"id":"i","lent":true}');
    }
    assert.equal((await get("$prettyPrint=1&lent=true")).text.split("\n").length, 5);
    assert.equal((await get("prettyPrint=maybe")).status, 400);
  });

  it("writes enums as numbers where alt asks for it, escaped or not", async () => {
    for (const alt of ["$alt=json%3Benum-encoding=int", "alt=json;enum-encoding=int"]) {
      const { json } = await get(`${alt}&genre=GENRE_FICTION`);
      assert.deepEqual(json, { id: "i", genre: 1 });
    }
  });

  it("answers in binary where alt asks for it", async () => {
    const { bytes, header } = await get("$alt=proto&lent=true");
    assert.equal(header["content-type"], "application/x-protobuf");
    assert.deepEqual(toJson(BookSchema, fromBinary(BookSchema, bytes)), { id: "i", lent: true });
  });

  it.each(["xml", "media", "json;enum-encoding=string", "JSON"])("refuses alt=%s", async (alt) => {
    const { status, text } = await get(`alt=${encodeURIComponent(alt)}`);
    assert.equal(status, 400);
    assert.match(text, /must be json, json;enum-encoding=int or proto/);
  });

  it("calls the function that JSONP names, with errors too", async () => {
    const fine = await get("callback=a.b[0].$c&prettyPrint=0");
    assert.equal(fine.text, '// API callback\na.b[0].$c({"id":"i"});\n');
    assert.equal(fine.header["content-type"], "text/javascript; charset=UTF-8");
    assert.equal(fine.header["x-content-type-options"], "nosniff");
    const failed = await get("callback=f&nope=1&prettyPrint=0");
    assert.equal(failed.status, 200);
    assert.match(failed.text, /^\/\/ API callback\nf\(\{"error":\{"code":400,/);
  });

  it("refuses JSONP unless `jsonp` is true, as any page could read the response", async () => {
    const plain = await startLibraryServer();
    const { status, text } = await plain.send("GET", "/v1/byId/i?callback=f");
    assert.equal(status, 400);
    assert.match(text, /parameter callback needs the server's option `jsonp`/);
    await plain.close();
  });

  it.each(["a;b", "a(b", "<x>", "a b"])("refuses the callback %j", async (callback) => {
    const { status, header } = await get(`callback=${encodeURIComponent(callback)}`);
    assert.equal(status, 400);
    assert.match(String(header["content-type"]), /json/);
  });

  it("has JSONP on GET only", async () => {
    const before = library.calls.length;
    const { status, header } = await library.send("PUT", "/v1/byId/i?callback=f");
    assert.equal(status, 400);
    assert.equal(header["content-type"], "application/json; charset=UTF-8");
    assert.equal(library.calls.length, before);
  });

  it("hands what is about the caller to interceptors as headers, and none of it to the message", async () => {
    const query = "key=K&quotaUser=q&access_token=T&uploadType=u&upload_protocol=p&$alt=json";
    assert.deepEqual((await get(query)).json, { id: "i" });
    assert.equal(headers.get("x-goog-api-key"), "K");
    assert.equal(headers.get("x-goog-quota-user"), "q");
    assert.equal(headers.get("authorization"), "Bearer T");
    assert.equal(headers.get("x-goog-upload-type"), "u");
    assert.equal(headers.get("x-goog-upload-protocol"), "p");
    await get("oauth_token=O", { authorization: "Basic x" });
    assert.equal(headers.get("authorization"), "Basic x");
  });

  it("refuses a parameter that no header could carry", async () => {
    assert.equal((await get("key=%0d%0aX:y")).status, 400);
    assert.equal((await get("key=%C3%A9")).status, 400);
  });

  it.each([
    ["fields=id", { id: "i" }],
    ["$fields=shelf/number", { shelf: { number: 2 } }],
    ["fields=shelf(number),id", { id: "i", shelf: { number: 2 } }],
    ["fields=shelf.number", { shelf: { number: 2 } }],
    ["fields=shelf,shelf/number", { shelf: { number: 2, theme: "t" } }],
    ["fields=page_count", { pageCount: 7 }],
    ["fields=*/theme", { shelf: { theme: "t" }, sequel: {} }],
    ["fields=sequel(shelf(theme))", { sequel: { shelf: { theme: "s" } } }],
    ["fields=lent", {}],
    ["fields=", undefined],
  ])("answers a part of the message for %s", async (query, expected) => {
    const book =
      "pageCount=7&shelf.number=2&shelf.theme=t&sequel.id=j&sequel.shelf.theme=s&prettyPrint=0";
    const whole = {
      id: "i",
      shelf: { number: 2, theme: "t" },
      pageCount: 7,
      sequel: { id: "j", shelf: { theme: "s" } },
    };
    const answered = (await get(`${book}&${query}`)).json;
    const shown = query.startsWith("fields=*")
      ? { id: "i", pageCount: 7, ...expected, sequel: {} }
      : (expected ?? whole);
    assert.deepEqual(answered, shown);
  });

  it("takes the same from the header X-Goog-FieldMask", async () => {
    const { json } = await get("lent=true", { "x-goog-fieldmask": "lent" });
    assert.deepEqual(json, { lent: true });
  });

  it.each(["nope", "shelf(nope)", "id,", "shelf(number", "a)", "(", "a//b", `${"a(".repeat(200)}`])(
    "refuses fields=%s before the call is made",
    async (fields) => {
      const before = library.calls.length;
      assert.equal((await get(`fields=${encodeURIComponent(fields)}`)).status, 400);
      assert.equal(library.calls.length, before);
    },
  );

  it("escapes what would end a script or a string of one", async () => {
    const { text, json } = await get(`tags=${encodeURIComponent("</script>&\u2028\u2029")}`);
    assert.match(text, /\\u003c\/script\\u003e\\u0026\\u2028\\u2029/);
    assert.deepEqual(json, { id: "i", tags: ["</script>&\u2028\u2029"] });
  });
});

describe("errors", () => {
  let library: LibraryServer;
  let thrown: unknown;
  beforeAll(async () => {
    const fail: Interceptor = (next) => (request) => {
      if (thrown !== undefined) throw thrown;
      return next(request);
    };
    library = await startLibraryServer({ router: { interceptors: [fail] } });
  });
  afterAll(() => library.close());
  beforeEach(() => {
    thrown = undefined;
  });

  // google/rpc/code.proto, and the older reasons of rest.md.
  const rows = [
    [Code.Canceled, 499, "CANCELLED", "badRequest"],
    [Code.Unknown, 500, "UNKNOWN", "backendError"],
    [Code.InvalidArgument, 400, "INVALID_ARGUMENT", "badRequest"],
    [Code.DeadlineExceeded, 504, "DEADLINE_EXCEEDED", "backendError"],
    [Code.NotFound, 404, "NOT_FOUND", "notFound"],
    [Code.AlreadyExists, 409, "ALREADY_EXISTS", "conflict"],
    [Code.PermissionDenied, 403, "PERMISSION_DENIED", "forbidden"],
    [Code.Unauthenticated, 401, "UNAUTHENTICATED", "required"],
    [Code.ResourceExhausted, 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded"],
    [Code.FailedPrecondition, 400, "FAILED_PRECONDITION", "badRequest"],
    [Code.Aborted, 409, "ABORTED", "conflict"],
    [Code.OutOfRange, 400, "OUT_OF_RANGE", "badRequest"],
    [Code.Unimplemented, 501, "UNIMPLEMENTED", "notImplemented"],
    [Code.Internal, 500, "INTERNAL", "backendError"],
    [Code.Unavailable, 503, "UNAVAILABLE", "backendError"],
    [Code.DataLoss, 500, "DATA_LOSS", "backendError"],
  ] as const;

  it.each(rows)("server 80: answers code %i with HTTP %i and %s", async (...row) => {
    const [code, httpStatus, status, reason] = row;
    thrown = new ConnectError("no <way>", code);
    const two = await library.send("GET", "/v1/byId/i");
    assert.equal(two.status, httpStatus);
    assert.deepEqual(two.json, { error: { code: httpStatus, message: "no <way>", status } });
    const one = await library.send("GET", "/v1/byId/i?$.xgafv=1&$prettyPrint=0");
    const errors = `[{"message":"no \\u003cway\\u003e","domain":"global","reason":"${reason}"}]`;
    assert.equal(
      one.text,
      `{"error":{"code":${httpStatus},"message":"no \\u003cway\\u003e","errors":${errors},"status":"${status}"}}`,
    );
  });

  it("sends RetryInfo's delay as Retry-After", async () => {
    const { RetryInfoSchema } = await import("../../src/protos.js");
    const value = { retryDelay: { seconds: 2n, nanos: 1 } };
    thrown = new ConnectError("later", Code.Unavailable, { "X-Own": "h" }, [
      { desc: RetryInfoSchema, value },
    ]);
    const { header, json } = await library.send("GET", "/v1/byId/i");
    assert.equal(header["retry-after"], "3");
    assert.equal(header["x-own"], "h");
    const details = [
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2.000000001s" },
    ];
    assert.deepEqual(json, {
      error: { code: 503, message: "later", status: "UNAVAILABLE", details },
    });
  });

  it("has the bytes of details of unknown types in base64", async () => {
    const error = new ConnectError("x", Code.Aborted);
    error.details.push({ type: "elsewhere.v1.Why", value: new Uint8Array([8, 1]) });
    thrown = error;
    const { json } = await library.send("GET", "/v1/byId/i?$prettyPrint=0");
    const details = [{ "@type": "type.googleapis.com/elsewhere.v1.Why", value: "CAE=" }];
    assert.deepEqual(json, { error: { code: 409, message: "x", status: "ABORTED", details } });
  });

  it("hides errors other than ConnectError", async () => {
    thrown = new TypeError("secret of /home/somebody");
    const { status, text } = await library.send("GET", "/v1/byId/i");
    assert.equal(status, 500);
    assert.doesNotMatch(text, /secret|home|TypeError|stack/);
  });

  it("answers 500 for a message that JSON cannot hold, and tells the log hook why", async () => {
    const body = '{"publishTime":"9999-12-31T23:59:59Z"}';
    assert.equal((await library.send("PUT", "/v1/byId/i", { body })).status, 200);
    const { startRestServer } = await import("./support/rest-server.js");
    const { LibraryService } = await import("../gen/library/v1/library_pb.js");
    const server = await startRestServer((router) => {
      router.service(LibraryService, { getById: () => ({ publishTime: { seconds: 10n ** 15n } }) });
    });
    const { status, text } = await server.send("GET", "/v1/byId/i");
    assert.equal(status, 500);
    assert.match(text, /UNWRITABLE_ANSWER/);
    assert.doesNotMatch(text, /9999|cannot encode/);
    assert.equal(server.internalErrors.length, 1);
    await server.close();
  });

  it.each(["0", "3", "", "v1", "1 "])("refuses $.xgafv=%j before anything else", async (format) => {
    const { status, json } = await library.send(
      "DELETE",
      `/v1/byId/i?alt=xml&%24.xgafv=${encodeURIComponent(format)}`,
    );
    assert.equal(status, 400);
    assert.match(JSON.stringify(json), /parameter \$\.xgafv must be 1 or 2/);
  });

  it("takes the last of several $.xgafv", async () => {
    const one = await library.send("DELETE", "/v1/byId/i?$.xgafv=2&%24.xgafv=1");
    assert.match(one.text, /"errors"/);
    const two = await library.send("DELETE", "/v1/byId/i?$.xgafv=1&$.xgafv=2");
    assert.doesNotMatch(two.text, /"errors"/);
  });

  it("has the older reasons invalid, without a domain, and parseError", async () => {
    const invalid = await library.send("GET", "/v1/byId/i?pageCount=x&$.xgafv=1&$prettyPrint=0");
    assert.match(invalid.text, /"errors":\[\{"message":"[^"]*(\\"[^"]*)*","reason":"invalid"\}\]/);
    const broken = await library.send("PUT", "/v1/byId/i?$.xgafv=1&$prettyPrint=0", { body: "{" });
    assert.match(broken.text, /"domain":"global","reason":"parseError"/);
  });
});
