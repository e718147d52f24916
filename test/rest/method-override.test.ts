import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { restCors } from "../../src/rest/index.js";
import { type LibraryServer, startLibraryServer } from "./support/library-server.js";

describe("a POST with X-HTTP-Method-Override: GET", () => {
  let library: LibraryServer;
  beforeAll(async () => {
    library = await startLibraryServer();
  });
  afterAll(() => library.close());

  const form = {
    "x-http-method-override": "GET",
    "content-type": "application/x-www-form-urlencoded",
  };
  const send = (path: string, body: string | undefined, header: Record<string, string> = form) =>
    library.send("POST", path, { body, header });

  it("is the GET of its path, with the form as the query", async () => {
    const room = "é&=+ ".repeat(800);
    const body = `room=${encodeURIComponent(room)}&tags=a&prettyPrint=0&tags=b`;
    const answer = await send("/v1/byId/i", body);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, { id: "i", tags: ["a", "b"], room });
    const [method] = library.calls.at(-1) ?? [];
    assert.equal(method, "GetById");
  });

  it("adds the form to a query in the URL", async () => {
    const { json } = await send("/v1/byId/i?tags=a", "tags=b", {
      ...form,
      "content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8",
    });
    assert.deepEqual(json, { id: "i", tags: ["a", "b"] });
  });

  it("answers the errors of the GET", async () => {
    assert.equal((await send("/v1/byId/i", "nope=1")).status, 400);
    assert.equal((await send("/v1/byId/i", "$.xgafv=9")).status, 400);
    assert.equal((await send("/v1/byId/i", "room=%zz")).status, 400);
    const old = await send("/v1/byId/i", "$.xgafv=1&nope=1");
    assert.ok(Object(old.json).error.errors);
  });

  it("works without a body, and for the discovery document", async () => {
    const answer = await send("/v1/byId/i", undefined, { "x-http-method-override": "get" });
    assert.deepEqual(answer.json, { id: "i" });
    const document = await send("/$discovery/rest", "version=v1");
    assert.equal(Object(document.json).version, "v1");
  });

  it("refuses another type than a form, and more than 64 KiB", async () => {
    const json = { ...form, "content-type": "application/json" };
    assert.equal((await send("/v1/byId/i", "{}", json)).status, 415);
    assert.equal((await send("/v1/byId/i", `room=${"a".repeat(65_531)}`)).status, 200);
    assert.equal((await send("/v1/byId/i", `room=${"a".repeat(65_532)}`)).status, 413);
  });

  it("reaches no rule of another HTTP method", async () => {
    const before = library.calls.length;
    const scan = await send("/v1/scan", "a=b");
    assert.equal(scan.status, 405);
    assert.equal(library.calls.length, before);
  });

  it("opens no other method to forms, and needs a header that pages must ask for", async () => {
    const plain = { "content-type": form["content-type"] };
    const put = { ...plain, "x-http-method-override": "PUT" };
    const before = library.calls.length;
    assert.equal((await send("/v1/byId/i", "tags=a", plain)).status, 405);
    assert.equal((await send("/v1/byId/i", "tags=a", put)).status, 405);
    assert.equal(library.calls.length, before);
    const allowed = restCors.allowedHeaders.map((name) => name.toLowerCase());
    assert.ok(!allowed.includes("x-http-method-override"));
  });
});
