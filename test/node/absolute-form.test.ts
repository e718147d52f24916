import assert from "node:assert/strict";
import { constants } from "node:http2";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createServer, type RequestRecord, type Server } from "../../src/node/index.js";
import { createRestHandler } from "../../src/rest/index.js";
import { handlerFromFetch } from "../../src/web/index.js";
import { LibraryService } from "../gen/library/v1/library_pb.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { openRawConnection } from "../support/raw-connection.js";

let server: Server;
let port: number;
let url: string;
let records: RequestRecord[];
/** The URLs that the fetch handler and the RPCs were asked for. */
let seen: string[];

beforeEach(async () => {
  records = [];
  seen = [];
  server = createServer({
    health: {},
    allowedHosts: "*",
    routes: (router) =>
      router.rpc(LibraryService.method.getById, ({ id }, context) => {
        seen.push(context.url);
        return { id };
      }),
    handlers: (router) => [
      createRestHandler(router),
      handlerFromFetch((request) => {
        seen.push(request.url);
        return new Response("{}");
      }),
    ],
    onRequest: (record) => records.push(record),
  });
  ({ port, url } = await server.listen());
});

afterEach(() => server.close({ graceMs: 0 }));

async function exchange(target: string, method = "GET", rest = "") {
  const connection = await openRawConnection(port);
  await connection.send(
    `${method} ${target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n${rest || "\r\n"}`,
  );
  const answer = await connection.ended;
  const [, status] = /^HTTP\/1\.1 (\d+) /.exec(answer) ?? [];
  return { status: Number(status), answer };
}

/** RFC 9112, section 3.2.2. */
describe("a request target in the absolute form", () => {
  it.each([
    ["http://library.example/v1/byId/i?prettyPrint=0", "http://library.example"],
    ["HTTP://library.example:81/v1/byId/i?prettyPrint=0", "http://library.example:81"],
    ["https://library.example/v1/byId/i?prettyPrint=0", "https://library.example"],
  ])("is the REST face's where its path is: %s", async (target, origin) => {
    const { status, answer } = await exchange(target);
    assert.equal(status, 200);
    assert.match(answer, /\r\n\r\n\{"id":"i"\}$/);
    const [asked = ""] = seen;
    assert.equal(new URL(asked).origin, origin);
  });

  it("is as raw as any other: dots and escapes stay", async () => {
    for (const path of ["/v1/x/../byId/i", "/v1/x/%2e%2e/byId/i"]) {
      await exchange(`http://library.example${path}`);
    }
    const { answer } = await exchange("http://library.example/v1/byId/a%2Fb");
    assert.match(answer, /"id": "a\/b"/);
    // The others went to the fetch handler, whose Request resolves dots.
    assert.deepEqual(
      records.map(({ path }) => path),
      ["/v1/x/../byId/i", "/v1/x/%2e%2e/byId/i", "/v1/byId/a%2Fb"],
    );
    assert.equal(seen.length, 3);
  });

  it("reaches an RPC", async () => {
    const body = 'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"i"}';
    const path = `/${LibraryService.typeName}/GetById`;
    const { status, answer } = await exchange(`http://library.example${path}`, "POST", body);
    assert.equal(status, 200);
    assert.match(answer, /\{"id":"i"\}$/);
    assert.deepEqual(seen, [`http://library.example${path}`]);
  });

  it("reaches the fetch handler by its own host, whatever the Host header says", async () => {
    for (const target of ["http://a.example/x?y=1", "http://a.example?y=1", "http://a.example"]) {
      assert.equal((await exchange(target)).status, 200);
    }
    assert.deepEqual(seen, [
      "http://a.example/x?y=1",
      "http://a.example/?y=1",
      "http://a.example/",
    ]);
    assert.deepEqual(
      records.map(({ path }) => path),
      ["/x", "/", "/"],
    );
  });

  it.each([
    "http://",
    "http:///v1/byId/i",
    "http://a:b/v1/byId/i",
    "ftp://a.example/v1/byId/i",
    "*",
  ])("is refused with 400 if it is not an HTTP URL: %s", async (target) => {
    assert.equal((await exchange(target, "OPTIONS")).status, 400);
    assert.deepEqual(seen, []);
  });

  it("is a protocol error over HTTP/2, which has no such form", async () => {
    const session = await openSession(url);
    const path = "http://library.example/v1/byId/i";
    const { headers, rstCode } = await rawCall(session, { headers: { ":path": path }, chunks: [] });
    assert.deepEqual(headers, []);
    assert.equal(rstCode, constants.NGHTTP2_PROTOCOL_ERROR);
    session.destroy();
  });
});
