import assert from "node:assert/strict";
import { constants } from "node:http2";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createServer, type Server, type ServerEvent } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { http2Headers, http2Preface } from "../support/http2-frames.js";
import { Print } from "../support/print-server.js";
import { openSession, rawCall } from "../support/raw-call.js";
import { openRawConnection } from "../support/raw-connection.js";

const bodyTimeoutMs = 200;
const rules = operationsHttpRules({ version: "v1", parent: "projects/*" });

let server: Server;
let port: number;
let events: ServerEvent[];
/** An operation that is not done. */
let name: string;

beforeEach(async () => {
  events = [];
  const operations = createOperations();
  server = createServer({
    routes: (router) => router.service(Operations, operations.service),
    handlers: (router) => [createRestHandler(router, { rules, readMaxBytes: 100_000 })],
    operations,
    limits: { bodyTimeoutMs, headersTimeoutMs: 500, maxHeaderBytes: 8192 },
    log: (event) => events.push(event),
  });
  ({ port } = await server.listen());
  ({ name } = await operations.create(Print, {}, { parent: "projects/p" }));
});

afterEach(async () => {
  // After each test the server still serves others, and has reported no error of its own.
  for (const { exchange } of wires) {
    const { status, json } = await exchange({ method: "GET", path: `/v1/${name}` });
    assert.equal(status, 200);
    assert.equal(json.name, name);
  }
  // Time to notice that clients have left: a connection that stays open is cut, and reported.
  await server.close({ graceMs: 5000 });
  assert.deepEqual(
    events.filter(({ kind }) => kind !== "connection-failed"),
    [],
  );
});

/** A request that no decent client sends. */
interface HostileRequest {
  readonly method: string;
  readonly path: string;
  /** Default: the length of the body if it ends, otherwise no header. */
  readonly contentLength?: string | undefined;
  readonly header?: Readonly<Record<string, string>> | undefined;
  /** Default: none. */
  readonly body?: string | Uint8Array | undefined;
  /** Whether the body does not come to its end. Default: false. */
  readonly isEndless?: boolean | undefined;
}

interface Answer {
  readonly status: number;
  /** Empty if the response is not JSON. */
  readonly json: { readonly name?: string; readonly error?: { readonly status?: string } };
}

/** How to send such a request, and read until the server ends the exchange. */
const wires: readonly {
  readonly version: string;
  exchange(request: HostileRequest): Promise<Answer>;
}[] = [
  {
    version: "HTTP/1.1",
    async exchange({ method, path, contentLength, header = {}, body, isEndless = false }) {
      const length = contentLength ?? (isEndless ? undefined : body?.length);
      const framing =
        length !== undefined
          ? { "content-length": String(length) }
          : body === undefined
            ? {}
            : { "transfer-encoding": "chunked" };
      const headers = { host: "localhost", connection: "close", ...framing, ...header };
      const head = [
        `${method} ${path} HTTP/1.1`,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ];
      const bytes = Buffer.from(body ?? "");
      const chunk = length === undefined && body !== undefined;
      const connection = await openRawConnection(port);
      await connection.send(`${head.join("\r\n")}\r\n\r\n`);
      if (chunk) await connection.send(`${bytes.length.toString(16)}\r\n`);
      await connection.send(bytes);
      const answer = await connection.ended;
      const [, status] = /^HTTP\/1\.1 (\d+) /.exec(answer) ?? [];
      const end = answer.indexOf("\r\n\r\n");
      const [, type = ""] = /\r\ncontent-type: (.*)\r\n/i.exec(answer.slice(0, end + 2)) ?? [];
      return parsed(Number(status), type, answer.slice(end + 4));
    },
  },
  {
    version: "HTTP/2",
    async exchange({ method, path, contentLength, header = {}, body, isEndless = false }) {
      const session = await openSession(`http://127.0.0.1:${port}`);
      const answer = await rawCall(session, {
        headers: {
          ":method": method,
          ":path": path,
          ...(contentLength !== undefined && { "content-length": contentLength }),
          ...header,
        },
        chunks: body === undefined ? [] : [Buffer.from(body)],
        ending: isEndless ? "open" : "end",
      });
      session.destroy();
      const headers = Object.fromEntries(answer.headers);
      const text = Buffer.from(answer.data, "hex").toString();
      return parsed(Number(headers[":status"]), String(headers["content-type"]), text);
    },
  },
];

function parsed(status: number, contentType: string, text: string): Answer {
  assert.doesNotMatch(text, /node_modules|\.[jt]s:\d|\n\s+at |TypeError|RangeError/);
  return { status, json: contentType.startsWith("application/json") ? JSON.parse(text) : {} };
}

const statusName = ({ json }: Answer) => json.error?.status;

describe.each(wires)("a hostile client of the REST face on the one port, by $version", (wire) => {
  const { exchange } = wire;
  /** Cancel the operation with a body. */
  const cancel = (request: Partial<HostileRequest>) =>
    exchange({
      method: "POST",
      path: `/v1/${name}:cancel`,
      ...request,
      header: { "content-type": "application/json", ...request.header },
    });

  it("is answered with JSON, whatever bytes the body has", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (body) => {
        const answer = await cancel({ body });
        assert.ok(answer.status === 400 || answer.status === 200, String(answer.status));
        if (answer.status === 400) assert.equal(statusName(answer), "INVALID_ARGUMENT");
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ["deep JSON", "[".repeat(49_000) + "]".repeat(49_000), 400],
    ["deep objects", `${'{"a":'.repeat(9000)}1${"}".repeat(9000)}`, 400],
    ["one name twice", '{"name":"a","name":"b"}', 400],
    ["a prototype", '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}', 400],
    ["no JSON", "{", 400],
    ["no object", "[]", 400],
  ])("is answered to a body of %s", async (_, body, status) => {
    const answer = await cancel({ body });
    assert.equal(answer.status, status);
    if (status === 400) assert.equal(statusName(answer), "INVALID_ARGUMENT");
    assert.equal("polluted" in {}, false);
  });

  it("is refused with 413 for a body that is too large, as it comes and decompressed", async () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 26, " "));
    assert.ok(bomb.length < 100_000);
    for (const answer of [
      await cancel({ body: bomb, header: { "content-encoding": "gzip" } }),
      await cancel({ contentLength: "1000000000", body: "{", isEndless: true }),
      await cancel({ body: " ".repeat(0x20000), isEndless: true }),
    ]) {
      assert.equal(answer.status, 413);
      assert.equal(statusName(answer), "INVALID_ARGUMENT");
    }
  });

  it("is refused with DEADLINE_EXCEEDED for a body that does not come to its end", async () => {
    for (const contentLength of ["10", undefined]) {
      const answer = await cancel({ contentLength, body: "{", isEndless: true });
      assert.equal(answer.status, 504);
      assert.equal(statusName(answer), "DEADLINE_EXCEEDED");
    }
  });

  it("server 85: is refused for a body that the rule does not allow, ended or not", async () => {
    for (const method of ["GET", "DELETE"]) {
      for (const isEndless of [false, true]) {
        const answer = await exchange({ method, path: `/v1/${name}`, body: "{}", isEndless });
        assert.equal(answer.status, 400);
        assert.equal(statusName(answer), "INVALID_ARGUMENT");
      }
    }
  });

  it("is answered for the path as sent, without resolving dot segments", async () => {
    for (const path of [`/v1/x/../${name}`, `/v1/x/%2e%2e/${name}`, `/v1/./${name}`]) {
      assert.equal((await exchange({ method: "GET", path })).status, 404);
    }
  });

  it("receives only a part of a long path that it sent", async () => {
    const answer = await exchange({ method: "GET", path: `/v1/projects/${"x".repeat(4000)}/no` });
    assert.equal(answer.status, 404);
    assert.ok(JSON.stringify(answer.json).length < 2000);
  });
});

describe("a hostile client of the REST face on the one port, of HTTP/1.1's own kind", () => {
  it("is answered or cut off, whatever bytes it sends", async () => {
    const start = fc.constantFrom(
      "",
      "GET ",
      "POST /v1/",
      "PRI * HTTP/2.0\r\n",
      "GET / HTTP/1.1\r\n",
    );
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 200 }), async (begin, bytes) => {
        const connection = await openRawConnection(port);
        await connection.send(begin);
        await connection.send(bytes);
        connection.socket.end();
        const answer = await connection.ended;
        assert.match(answer.slice(0, 12), /^$|^HTTP\/1\.1 4|^\0\0/);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["two lengths", ["Content-Length: 2", "Content-Length: 3"], 400],
    ["a length that is none", ["Content-Length: -1"], 400],
    ["a length and chunks", ["Content-Length: 2", "Transfer-Encoding: chunked"], 400],
    ["a huge header", [`X-A: ${"a".repeat(10_000)}`], 431],
    ["very many headers", Array.from({ length: 5000 }, () => "X: y"), 431],
  ])("is refused for %s", async (_, lines, status) => {
    const connection = await openRawConnection(port);
    const head = [
      `POST /v1/${name}:cancel HTTP/1.1`,
      "Host: localhost",
      "Connection: close",
      ...lines,
    ];
    await connection.send(`${head.join("\r\n")}\r\n\r\n{}`);
    assert.match(await connection.ended, new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe("a hostile client of the REST face on the one port, once it is gone", () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const held = () => {
    collect();
    const { heapUsed, arrayBuffers, external } = process.memoryUsage();
    return heapUsed + arrayBuffers + external;
  };
  const body = Buffer.alloc(99_000, "[");
  const attackOverHttp1 = async () => {
    const connections = await Promise.all(
      Array.from({ length: 50 }, () => openRawConnection(port)),
    );
    const head = `POST /v1/${name}:cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n`;
    // Half are too slow, half go away.
    for (const { send } of connections) await send(head).then(() => send(body));
    for (const { socket } of connections.slice(25)) socket.destroy();
    await Promise.all(connections.map(({ ended }) => ended));
  };
  const attackOverHttp2 = async () => {
    const session = await openSession(`http://127.0.0.1:${port}`);
    const headers = {
      ":method": "POST",
      ":path": `/v1/${name}:cancel`,
      "content-length": "100000",
    };
    const calls = Array.from({ length: 50 }, (_, at) =>
      rawCall(session, { headers, chunks: [body], ending: at < 25 ? "open" : "reset" }),
    );
    await Promise.all(calls);
    session.destroy();
  };

  it.each([
    ["HTTP/1.1", attackOverHttp1],
    ["HTTP/2", attackOverHttp2],
  ])("costs no memory: over %s", async (_, attack) => {
    await attack();
    const before = held();
    for (let round = 0; round < 4; round += 1) await attack();
    // Half of the bytes that these rounds have sent. The server learns later than the client that a
    // connection is gone.
    await expect.poll(() => held() - before, { timeout: 10_000 }).toBeLessThan(10_000_000);
  });
});

describe("a hostile client of the REST face on the one port, of HTTP/2's own kind", () => {
  it("is answered or cut off, whatever bytes follow the preface", async () => {
    // Some bytes are a frame without an end, which only the time limit ends.
    const hasty = createServer({ routes: () => {}, limits: { idleTimeoutMs: 50 } });
    const address = await hasty.listen();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const connection = await openRawConnection(address.port);
        await connection.send(http2Preface);
        await connection.send(bytes);
        connection.socket.end();
        // Settings come first, of whatever is answered at all.
        const answer = await connection.ended;
        assert.equal(answer.slice(3, 5), answer === "" ? "" : "\x04\0");
      }),
      { numRuns: 100 },
    );
    await hasty.close({ graceMs: 5000 });
  });

  it.each([
    ["fewer bytes than its length", { "content-length": "10" }],
    ["more bytes than its length", { "content-length": "1" }],
    ["a length that is none", { "content-length": "-1" }],
  ])("has its stream reset for %s", async (_, header) => {
    const session = await openSession(`http://127.0.0.1:${port}`);
    const headers = { ":method": "POST", ":path": `/v1/${name}:cancel`, ...header };
    const { rstCode } = await rawCall(session, { headers, chunks: [Buffer.from("{}")] });
    // Node 26 resets a stream with too many bytes by INTERNAL_ERROR, older ones as RFC 9113 says.
    const codes: unknown[] = [constants.NGHTTP2_PROTOCOL_ERROR, constants.NGHTTP2_INTERNAL_ERROR];
    assert.ok(codes.includes(rstCode), `reset with ${rstCode}`);
    session.destroy();
  });

  it.each([
    ["a huge header", { "x-a": "a".repeat(10_000) }],
    [
      "very many headers",
      Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-${at}`, "y"])),
    ],
  ])("is refused for %s", async (_, header) => {
    const session = await openSession(`http://127.0.0.1:${port}`);
    const headers = { ":method": "GET", ":path": `/v1/${name}`, ...header };
    const answer = await rawCall(session, { headers, chunks: [] });
    const { ":status": status } = Object.fromEntries(answer.headers);
    assert.ok(status === 431 || answer.rstCode !== constants.NGHTTP2_NO_ERROR, `${status}`);
    session.destroy();
  });

  it.each([
    ["upper-case names", { ":method": "GET", ":path": "/v1/x", "X-A": "y" }],
    ["headers of a connection", { ":method": "GET", ":path": "/v1/x", connection: "close" }],
    ["no path", { ":method": "GET" }],
    ["a pseudo-header that is none", { ":method": "GET", ":path": "/v1/x", ":paths": "/v1/y" }],
  ])("has its stream reset for %s", async (_, headers) => {
    const connection = await openRawConnection(port);
    const whole = { ":scheme": "http", ":authority": "h", ...headers };
    await connection.send(http2Preface + http2Headers(1, whole));
    // RST_STREAM of stream 1 with PROTOCOL_ERROR (RFC 9113, section 6.4).
    const reset = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x01";
    await connection.receives((received) => received.includes(reset));
    connection.socket.destroy();
  });
});
