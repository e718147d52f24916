import assert from "node:assert/strict";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { Operations } from "../../src/protos.js";
import { operationsHttpRules } from "../../src/rest/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";
import { type RestServer, startRestServer } from "./support/rest-server.js";

/** A body of parts, with the line ends that Python's client has. */
function batchOf(parts: readonly string[], newline = "\n"): string {
  const lines = parts.flatMap((part, at) => [
    "--b",
    "Content-Type: application/http",
    "MIME-Version: 1.0",
    "Content-Transfer-Encoding: binary",
    `Content-ID: <x + ${at}>`,
    "",
    part,
  ]);
  return [...lines, "--b--", ""].join("\n").replaceAll("\n", newline);
}

const header = { "content-type": 'multipart/mixed; boundary="b"' };

/** The parts of a response: the id, the status line and the body of each. */
function partsOf(text: string, contentType: string | undefined) {
  const boundary = /^multipart\/mixed; boundary=(\S+)$/.exec(contentType ?? "")?.[1];
  assert.ok(boundary);
  const [first, ...others] = text.split(`--${boundary}`);
  assert.equal(first, "");
  assert.equal(others.pop(), "--\r\n");
  return others.map((part) => {
    const [outer = "", head = "", body = ""] = part.split("\r\n\r\n");
    assert.match(outer, /\r\nContent-Type: application\/http/);
    const id = /Content-ID: (<.*>)/.exec(outer)?.[1];
    return { id, line: head.split("\r\n")[0], head, body: body.trim() };
  });
}

describe("a batch", () => {
  let server: RestServer;
  let calls: { url: string; header: Headers }[] = [];
  const keep: Interceptor = (next) => (request) => {
    calls.push({ url: request.url, header: new Headers(request.header) });
    return next(request);
  };
  let underWay = 0;
  beforeAll(async () => {
    server = await startRestServer(
      (router) => {
        router.service(Operations, {
          async getOperation({ name }) {
            underWay += 1;
            await new Promise(setImmediate);
            assert.equal(underWay, 1, "one part at a time");
            underWay -= 1;
            if (name.endsWith("gone")) throw new ConnectError("é is gone", Code.NotFound);
            return { name, done: true };
          },
          waitOperation: ({ name }) => ({ name }),
          cancelOperation: () => ({}),
        });
        router.service(LibraryService, { updateAll: (book) => book });
      },
      { router: { interceptors: [keep] }, rules: operationsHttpRules() },
    );
  });
  afterAll(() => server.close());
  beforeEach(() => {
    calls = [];
  });

  const send = async (body: string, more: Record<string, string> = {}) => {
    const answer = await server.send("POST", "/batch", { body, header: { ...header, ...more } });
    assert.equal(answer.status, 200, answer.text);
    return partsOf(answer.text, answer.header["content-type"]);
  };

  it.each(["\n", "\r\n"])("answers each part in order, with line ends %j", async (newline) => {
    const parts = await send(
      batchOf(
        [
          "GET /v1/operations/a?alt=json&prettyPrint=false HTTP/1.1\nHost: h\n\n",
          "GET /v1/operations/gone HTTP/1.1\n\n",
          'PUT /v1/byId/i?prettyPrint=0 HTTP/1.1\nContent-Type: application/json\nContent-Length: 14\n\n{"name":"\u00fc"}\n',
          "POST /v1/operations/a:cancel HTTP/1.1\nContent-Type: application/json\n\n{}",
          "GET /nowhere HTTP/1.1\n\n",
          "DELETE /v1/byId/i HTTP/1.1\n\n",
        ],
        newline,
      ),
    );
    assert.deepEqual(
      parts.map(({ id, line }) => [id, line]),
      [
        ["<response-x + 0>", "HTTP/1.1 200 OK"],
        ["<response-x + 1>", "HTTP/1.1 404 Not Found"],
        ["<response-x + 2>", "HTTP/1.1 200 OK"],
        ["<response-x + 3>", "HTTP/1.1 200 OK"],
        ["<response-x + 4>", "HTTP/1.1 404 Not Found"],
        ["<response-x + 5>", "HTTP/1.1 405 Method Not Allowed"],
      ],
    );
    assert.equal(parts[0]?.body, '{"name":"operations/a","done":true}');
    assert.equal(JSON.parse(parts[1]?.body ?? "").error.message, "é is gone");
    assert.equal(parts[2]?.body, '{"name":"ü","id":"i"}');
    assert.match(parts[0]?.head ?? "", /\r\ncontent-type: application\/json; charset=UTF-8/);
  });

  it("passes the headers of the whole request on, and lets a part set its own", async () => {
    await send(
      batchOf([
        "GET /v1/operations/a HTTP/1.1\n\n",
        "GET /v1/operations/a HTTP/1.1\nAuthorization: Bearer own\nX-Own: 1\n\n",
      ]),
      { authorization: "Bearer whole", "x-goog-user-project": "p" },
    );
    assert.deepEqual(
      calls.map(({ header }) => header.get("authorization")),
      ["Bearer whole", "Bearer own"],
    );
    assert.deepEqual(
      calls.map(({ header }) => header.get("x-goog-user-project")),
      ["p", "p"],
    );
    assert.equal(calls[1]?.header.get("x-own"), "1");
  });

  it("takes Origin, Cookie and Sec-* from the whole request, not from a part", async () => {
    const forged = [
      "Origin: https://trusted.example",
      "Cookie: session=1",
      "Referer: https://trusted.example/",
      "Sec-Fetch-Site: same-origin",
      "X-Forwarded-For: 127.0.0.1",
    ];
    await send(batchOf([`GET /v1/operations/a HTTP/1.1\n${forged.join("\n")}\n\n`]), {
      origin: "https://page.example",
      "sec-fetch-site": "cross-site",
    });
    const [call] = calls;
    assert.equal(call?.header.get("origin"), "https://page.example");
    assert.equal(call?.header.get("sec-fetch-site"), "cross-site");
    for (const name of ["cookie", "referer", "x-forwarded-for"]) {
      assert.equal(call?.header.get(name), null, name);
    }
  });

  it("refuses waits, batches and malformed parts, and answers the others", async () => {
    const body = batchOf([
      "POST /v1/operations/a:wait HTTP/1.1\nContent-Type: application/json\n\n{}",
      "POST /batch HTTP/1.1\nContent-Type: multipart/mixed; boundary=c\n\n--c--",
      "GET /v1/operations/a",
      "GET http://elsewhere/v1/operations/a HTTP/1.1\n\n",
      "GET /v1/operations/a HTTP/1.1\nbroken\n\n",
      "GET /v1/operations/a HTTP/1.1\n\n",
    ]);
    const parts = await send(body);
    assert.deepEqual(
      parts.map(({ line }) => line),
      [...Array(5).fill("HTTP/1.1 400 Bad Request"), "HTTP/1.1 200 OK"],
    );
    assert.match(parts[0]?.body ?? "", /cannot be a wait/);
    assert.match(parts[1]?.body ?? "", /cannot be a batch/);
    assert.match(parts[2]?.body ?? "", /must be of type application\/http/);
    assert.equal(calls.length, 1);
  });

  it("takes 100 parts, and refuses 101 without a call", async () => {
    const part = "GET /v1/operations/a HTTP/1.1\n\n";
    assert.equal((await send(batchOf(Array(100).fill(part)))).length, 100);
    calls = [];
    const body = batchOf(Array(101).fill(part));
    const answer = await server.send("POST", "/batch", { body, header });
    assert.equal(answer.status, 400);
    assert.match(answer.text, /a batch must have at most 100 parts/);
    assert.deepEqual(calls, []);
  });

  it.each([
    ["no boundary", "multipart/mixed", batchOf(["GET / HTTP/1.1\n\n"])],
    ["another type", "multipart/form-data; boundary=b", batchOf(["GET / HTTP/1.1\n\n"])],
    ["JSON", "application/json", "{}"],
    ["no part", "multipart/mixed; boundary=b", "--b--"],
    ["no end", "multipart/mixed; boundary=b", "--b\n\nGET / HTTP/1.1\n\n"],
    ["nothing", "multipart/mixed; boundary=b", ""],
  ])("answers 400 for a body with %s", async (_, type, body) => {
    const answer = await server.send("POST", "/batch", { body, header: { "content-type": type } });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.text, /MALFORMED_BATCH/);
  });

  it("answers 405 to another HTTP method than POST", async () => {
    const answer = await server.send("GET", "/batch");
    assert.equal(answer.status, 405);
    assert.equal(answer.header.allow, "POST");
  });

  it("is switched off by an option, in the discovery document too", async () => {
    const without = await startRestServer((router) => router.service(Operations, {}), {
      batch: false,
    });
    const answer = await without.send("POST", "/batch", { body: batchOf([]), header });
    assert.equal(answer.status, 404);
    const { json } = await without.send("GET", "/$discovery/rest");
    assert.equal(Object(json).batchPath, undefined);
    await without.close();
    const document = await server.send("GET", "/$discovery/rest?version=v1");
    assert.equal(Object(document.json).batchPath, "batch");
  });

  it("makes no more calls once its responses have more than 32 MiB", async () => {
    const large = await startRestServer((router) => {
      router.service(LibraryService, { getById: ({ id }) => ({ id, name: "n".repeat(5 << 20) }) });
    });
    const body = batchOf(Array(9).fill("GET /v1/byId/i?prettyPrint=0 HTTP/1.1\n\n"));
    const answer = await large.send("POST", "/batch", { body, header });
    const lines = partsOf(answer.text, answer.header["content-type"]).map(({ line }) => line);
    assert.deepEqual(lines, [
      ...Array(7).fill("HTTP/1.1 200 OK"),
      ...Array(2).fill("HTTP/1.1 429 Too Many Requests"),
    ]);
    await large.close();
  });
});
