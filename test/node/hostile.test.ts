import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, it } from "vitest";
import { createServer, type Server, type ServerEvent } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createRestHandler, operationsHttpRules } from "../../src/rest/index.js";
import { createOperations } from "../../src/server/index.js";
import { Print } from "../support/print-server.js";
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
    rest: (router) => createRestHandler(router, { rules, readMaxBytes: 100_000 }),
    operations,
    limits: { bodyTimeoutMs, headersTimeoutMs: 500, maxHeaderBytes: 8192 },
    log: (event) => events.push(event),
  });
  ({ port } = await server.listen());
  ({ name } = await operations.create(Print, {}, { parent: "projects/p" }));
});

afterEach(async () => {
  // Whatever a test did to it, the server serves others, and is at fault itself in nothing.
  const { status, json } = await exchange(`GET /v1/${name} HTTP/1.1\r\n`);
  assert.equal(status, 200);
  assert.equal(json.name, name);
  await server.close({ graceMs: 0 });
  assert.deepEqual(
    events.filter(({ kind }) => kind !== "connection-failed"),
    [],
  );
});

/** Send a request head and what follows it, and read until the server ends the connection. */
async function exchange(head: string, body: string | Uint8Array = "") {
  const connection = await openRawConnection(port);
  await connection.send(`${head}Host: h\r\nConnection: close\r\n\r\n`);
  if (body.length > 0) await connection.send(body);
  return parsed(await connection.ended);
}

function parsed(answer: string) {
  assert.doesNotMatch(answer, /node_modules|\.[jt]s:\d|\n\s+at |TypeError|RangeError/);
  const end = answer.indexOf("\r\n\r\n");
  const [, status] = /^HTTP\/1\.1 (\d+) /.exec(answer) ?? [];
  const text = answer.slice(end + 4);
  const isJson = /\r\ncontent-type: application\/json/i.test(answer.slice(0, end));
  return { status: Number(status), json: isJson ? JSON.parse(text) : {} };
}

/** Cancel the operation with a body. */
const cancel = (body: string | Uint8Array, headers = "") =>
  exchange(
    `POST /v1/${name}:cancel HTTP/1.1\r\nContent-Type: application/json\r\n${headers}` +
      `Content-Length: ${body.length}\r\n`,
    body,
  );

const statusName = ({ json }: { json: { error?: { status?: string } } }) => json.error?.status;

describe("a hostile client of the REST face on the one port", () => {
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

  it("is answered with JSON, whatever bytes the body has", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (bytes) => {
        const answer = await cancel(bytes);
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
    ["a prototype", '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}', 200],
    ["no JSON", "{", 400],
    ["no object", "[]", 400],
  ])("is answered to a body of %s", async (_, body, status) => {
    const answer = await cancel(body);
    assert.equal(answer.status, status);
    if (status === 400) assert.equal(statusName(answer), "INVALID_ARGUMENT");
    assert.equal("polluted" in {}, false);
  });

  it("is refused with 413 for a body that is too large, as it comes and decompressed", async () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 26, " "));
    assert.ok(bomb.length < 100_000);
    for (const answer of [
      await cancel(bomb, "Content-Encoding: gzip\r\n"),
      await exchange(`POST /v1/${name}:cancel HTTP/1.1\r\nContent-Length: 1000000000\r\n`),
      await exchange(
        `POST /v1/${name}:cancel HTTP/1.1\r\nTransfer-Encoding: chunked\r\n`,
        `20000\r\n${" ".repeat(0x20000)}\r\n`,
      ),
    ]) {
      assert.equal(answer.status, 413);
    }
  });

  it("is refused with DEADLINE_EXCEEDED for a body that does not come to its end", async () => {
    for (const length of ["Content-Length: 10", "Transfer-Encoding: chunked"]) {
      const answer = await exchange(`POST /v1/${name}:cancel HTTP/1.1\r\n${length}\r\n`, "1\r\n");
      assert.equal(answer.status, 504);
      assert.equal(statusName(answer), "DEADLINE_EXCEEDED");
    }
  });

  it("server 85: is refused for a body where the rule has none", async () => {
    for (const method of ["GET", "DELETE"]) {
      const answer = await exchange(
        `${method} /v1/${name} HTTP/1.1\r\nContent-Length: 2\r\n`,
        "{}",
      );
      assert.equal(answer.status, 400);
      assert.equal(statusName(answer), "INVALID_ARGUMENT");
    }
  });

  it.each([
    ["two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n", 400],
    ["a length that is none", "Content-Length: -1\r\n", 400],
    ["a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400],
    ["a huge header", `X-A: ${"a".repeat(10_000)}\r\n`, 431],
    ["very many headers", "X: y\r\n".repeat(5000), 431],
  ])("is refused for %s", async (_, headers, status) => {
    const answer = await exchange(`POST /v1/${name}:cancel HTTP/1.1\r\n${headers}`, "{}");
    assert.equal(answer.status, status);
  });

  it("is answered for the path that it sent, and not for what dots make of it", async () => {
    for (const path of [`/v1/x/../${name}`, `/v1/x/%2e%2e/${name}`, `/v1/./${name}`]) {
      assert.equal((await exchange(`GET ${path} HTTP/1.1\r\n`)).status, 404);
    }
  });

  it("is answered over HTTP/2, too, where its body is refused", async () => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    try {
      const stream = session.request(
        { ":method": "DELETE", ":path": `/v1/${name}` },
        { endStream: false },
      );
      const status = new Promise((resolve) => {
        stream.once("response", (headers) => resolve(headers[":status"]));
      });
      stream.write("x");
      assert.equal(await status, 400);
      stream.close();
    } finally {
      session.destroy();
    }
  });

  it("costs no memory when it is gone", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const held = () => {
      collect();
      const { heapUsed, arrayBuffers, external } = process.memoryUsage();
      return heapUsed + arrayBuffers + external;
    };
    const body = Buffer.alloc(99_000, "[");
    const attack = async () => {
      const connections = await Promise.all(
        Array.from({ length: 50 }, () => openRawConnection(port)),
      );
      const head = `POST /v1/${name}:cancel HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n`;
      // Half are too slow, half go away.
      for (const { send } of connections) await send(head).then(() => send(body));
      for (const { socket } of connections.slice(25)) socket.destroy();
      await Promise.all(connections.map(({ ended }) => ended));
    };
    await attack();
    const before = held();
    for (let round = 0; round < 4; round += 1) await attack();
    // Half of what these rounds have sent.
    assert.ok(held() - before < 10_000_000);
  });
});
