import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import { openSession, rawCall } from "../support/raw-call.js";
import { type LibraryServer, startLibraryServer } from "./support/library-server.js";

/** An answer that is JSON, of an error or of a call, and that tells nothing of the program. */
const assertDecent = (status: number, text: string) => {
  assert.ok(status < 500, `${status} ${text}`);
  if (text !== "") {
    const json = JSON.parse(text);
    assert.equal(status >= 400, "error" in json, text);
  }
  assert.doesNotMatch(text, /node_modules|\.[jt]s:\d|\\n\s+at |TypeError|RangeError|protobuf-es/);
};

describe.each(["1.1", "2"] as const)("what a hostile client sends over HTTP/%s", (httpVersion) => {
  let library: LibraryServer;
  beforeAll(async () => {
    library = await startLibraryServer({ readMaxBytes: 100_000, httpVersion });
  });
  afterAll(() => library.close());

  it("is answered with JSON, whatever path and query there are", async () => {
    const piece = fc.constantFrom(
      ..."/?&=:.%+*{}[]()<>$@!~'\";|\\^`",
      ..."%2F %2f %00 %zz %ff %C3 %C3%A9 %2e%2e // .. v1 byId books i".split(" "),
      ..."$.xgafv=1 %24.xgafv=3 alt=proto fields=a( callback=f __proto__".split(" "),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        const target = pieces.join("").replaceAll(/[\s"<>\\^`{|}]/g, encodeURIComponent);
        for (const path of [`/v1/byId/${target}`, `/${target}`]) {
          const { status, header, text } = await library.send("GET", path);
          if (String(header["content-type"]).includes("json")) assertDecent(status, text);
          else assert.ok(status < 500, path);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is answered with JSON, whatever bytes the body has", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 50 }), async (body) => {
        const { status, text } = await library.send("PUT", "/v1/byId/i", { body });
        assertDecent(status, text);
      }),
      { numRuns: 200 },
    );
  });

  it("is answered with JSON, whatever JSON the body has", async () => {
    const members =
      "name id shelf tags pageCount wordCount lent weight cover genre publishTime mask";
    const names = `${members} signed labels extra extras extraByPage notes room spot sequel @type`;
    const key = fc.constantFrom(...names.split(" "), "__proto__", "constructor", "toString");
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constantFrom(null, true, 0, -1, 2 ** 63, "", "x", "\ud800", "GENRE_FICTION"),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(key, tie("value"), { maxKeys: 4 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 4 }), async (json) => {
        const body = JSON.stringify(json);
        const { status, text } = await library.send("PUT", "/v1/byId/i", { body });
        assertDecent(status, text);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["deep JSON", "[".repeat(50_000) + "]".repeat(50_000)],
    ["deep messages", `${'{"sequel":'.repeat(5000)}1${"}".repeat(5000)}`],
    ["deep messages within the limit of JSON", `${'{"sequel":'.repeat(99)}1${"}".repeat(99)}`],
    ["deep Structs", `{"notes":${'{"a":'.repeat(98)}1${"}".repeat(98)}}`],
    [
      "a deep Any",
      `{"extra":${'{"@type":"google.protobuf.Any","value":'.repeat(95)}1${"}".repeat(96)}`,
    ],
    ["many names", `{${Array.from({ length: 9000 }, (_, at) => `"n${at}":1`).join(",")}}`],
    ["one name many times", `{${'"a":1,'.repeat(9000)}"a":1}`],
    ["a number of many digits", `{"pageCount":${"9".repeat(90_000)}}`],
    ["a string of escapes", `{"name":"${"\\u0000".repeat(10_000)}"}`],
    ["a prototype", '{"__proto__":{"status":500},"labels":{"__proto__":"x"}}'],
  ])("is answered with JSON: %s", async (_, body) => {
    const { status, text } = await library.send("PUT", "/v1/byId/i", { body });
    assertDecent(status, text);
    assert.equal(Object.hasOwn(Object.prototype, "status"), false);
  });

  it("is cut short where it is a compressed bomb", async () => {
    // A quarter of a gigabyte, from less than the limit of the body.
    const bomb = gzipSync(Buffer.alloc(2 ** 26, "[")).subarray(0, 99_000);
    const header = { "content-encoding": "gzip" };
    const answer = await library.send("PUT", "/v1/byId/i", { body: bomb, header });
    assert.equal(answer.status, 413);
  });

  it("gets what it sent back only in part", async () => {
    const long = "x".repeat(10_000);
    for (const path of [`/${long}`, `/v1/byId/i?${long}=1`, `/v1/byId/i?pageCount=${long}`]) {
      const { text } = await library.send("GET", path);
      assert.ok(text.length < 4000, path.slice(0, 30));
    }
    const header = { "content-type": long };
    const { text } = await library.send("PUT", "/v1/byId/i", { body: "{}", header });
    assert.ok(text.length < 4000);
  });
});

describe("what a hostile client sends over HTTP/2 alone", () => {
  let library: LibraryServer;
  beforeAll(async () => {
    library = await startLibraryServer({ readMaxBytes: 100_000, httpVersion: "2" });
  });
  afterAll(() => library.close());

  it.each([
    ["PUT", {}, 413],
    ["PUT", { "content-length": "1000000000" }, 413],
    ["GET", {}, 400],
    ["GET", { "content-length": "1000000000" }, 400],
  ])(
    "is answered before its end where it is endless: %s with %j",
    async (method, length, status) => {
      const session = await openSession(library.baseUrl);
      const headers = { ":method": method, ":path": "/v1/byId/i", ...length };
      const chunk = Buffer.alloc(0x4000, " ");
      const answer = await rawCall(session, {
        headers,
        chunks: Array.from({ length: 1000 }, () => chunk),
        ending: "open",
      });
      assert.equal(Object.fromEntries(answer.headers)[":status"], status);
      assert.equal(JSON.parse(Buffer.from(answer.data, "hex").toString()).error.code, status);
      assert.equal(answer.rstCode, constants.NGHTTP2_NO_ERROR);
      session.destroy();
    },
  );

  it("logs nothing if it resets its stream in the middle of a body", async () => {
    const session = await openSession(library.baseUrl);
    const headers = { ":method": "PUT", ":path": "/v1/byId/i" };
    await rawCall(session, { headers, chunks: [Buffer.from("{")], ending: "reset" });
    const answer = await rawCall(session, { headers: { ":path": "/v1/byId/i" }, chunks: [] });
    assert.equal(Object.fromEntries(answer.headers)[":status"], 200);
    assert.deepEqual(library.internalErrors, []);
    session.destroy();
  });
});

describe("what a hostile client sends over HTTP/1.1 alone", () => {
  let library: LibraryServer;
  beforeAll(async () => {
    library = await startLibraryServer({ readMaxBytes: 100_000 });
  });
  afterAll(() => library.close());

  it.each([
    ["PUT", "Transfer-Encoding: chunked", 413],
    ["PUT", "Content-Length: 1000000000", 413],
    ["GET", "Transfer-Encoding: chunked", 400],
    ["GET", "Content-Length: 1000000000", 400],
  ])(
    "is answered before its end where it is endless: %s with %s",
    async (method, length, status) => {
      const socket = connect(library.port, "127.0.0.1");
      socket.write(`${method} /v1/byId/i HTTP/1.1\r\nHost: h\r\n${length}\r\n\r\n`);
      const chunk = `4000\r\n${" ".repeat(0x4000)}\r\n`;
      let received = "";
      let sent = 0;
      await new Promise<void>((resolve) => {
        const pump = () => {
          while (socket.writable && socket.write(chunk)) sent += chunk.length;
        };
        socket.on("drain", pump).on("data", (data) => {
          received += data;
        });
        socket.on("error", () => undefined).on("close", () => resolve());
        pump();
      });
      assert.match(received, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(received, /\r\nconnection: close\r\n/i);
      assert.ok(sent < 2 ** 26);
    },
  );

  it("gets no response and logs nothing if it goes away in the middle of a body", async () => {
    const before = library.internalErrors.length;
    const socket = connect(library.port, "127.0.0.1");
    socket.write("PUT /v1/byId/i HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    socket.destroy();
    // Answered after it, on another connection: the server is still there.
    assert.equal((await library.send("GET", "/v1/byId/i")).status, 200);
    assert.equal(library.internalErrors.length, before);
  });

  it("is answered, whatever host it names", async () => {
    for (const host of ["", "a b", "[", "\u00e9", "h:99999", "h/x?y"]) {
      const header = { host };
      const { status, text } = await library.send("GET", "/v1/byId/i", { header });
      assert.ok(status === 200 || status === 400, `${host} ${status}`);
      if (status === 200) assert.deepEqual(JSON.parse(text), { id: "i" });
    }
  });

  it("is answered to the forms of a request target that proxies use", async () => {
    for (const target of ["http://other:1/v1/byId/i", "*"]) {
      const { status } = await library.send("GET", target);
      assert.equal(status, target.startsWith("http") ? 200 : 400, target);
    }
  });
});

describe("a body five times as large as the limit", () => {
  it("is answered to a client that reads nothing before it has sent everything", async () => {
    const server = await startLibraryServer();
    const body = `{"name":"${"x".repeat(20 << 20)}"}`;
    const socket = connect(server.port, "127.0.0.1");
    socket.pause();
    const head = [
      "PUT /v1/byId/i HTTP/1.1",
      "Host: h",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
    ];
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.write(`${head.join("\r\n")}\r\n\r\n${body}`, () => resolve());
    });
    let answer = "";
    socket.setEncoding("utf8").on("data", (text) => {
      answer += text;
    });
    socket.resume();
    await once(socket, "close");
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /BODY_TOO_LARGE/);
    await server.close();
  });

  it("does not hold a connection whose client stops sending", async () => {
    const server = await startLibraryServer();
    const socket = connect(server.port, "127.0.0.1");
    socket.write("PUT /v1/byId/i HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n{");
    const startMs = performance.now();
    socket.resume();
    await once(socket, "close");
    assert.ok(performance.now() - startMs < 5000);
    await server.close();
  });
});
