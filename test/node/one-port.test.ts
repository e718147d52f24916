import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { credentials } from "@grpc/grpc-js";
import { protoPath } from "grpc-health-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import { createServer, type Server, type ServerAddress } from "../../src/node/index.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/protos.js";
import { handlerFromFetch } from "../../src/web/index.js";
import { createCertificate } from "../support/certificate.js";
import { openForeignService } from "../support/foreign-service.js";
import { http2Preface } from "../support/http2-frames.js";
import { openRawConnection } from "../support/raw-connection.js";

/** The options common to all of Connect's transports. */
interface Wire {
  baseUrl: string;
  nodeOptions: { ca?: string };
}

const transports: [string, (wire: Wire) => Transport][] = [
  ["gRPC", (wire) => createGrpcTransport(wire)],
  ["gRPC-Web over HTTP/2", (wire) => createGrpcWebTransport({ ...wire, httpVersion: "2" })],
  ["gRPC-Web over HTTP/1.1", (wire) => createGrpcWebTransport({ ...wire, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (wire) => createConnectTransport({ ...wire, httpVersion: "2" })],
  ["Connect over HTTP/1.1", (wire) => createConnectTransport({ ...wire, httpVersion: "1.1" })],
];

describe.each([
  { title: "in plaintext", isTls: false },
  { title: "with TLS", isTls: true },
])("one port $title", ({ isTls }) => {
  let server: Server;
  let address: ServerAddress;
  let ca: string | undefined;

  beforeAll(async () => {
    const certificate = isTls ? await createCertificate() : undefined;
    ca = certificate?.cert;
    server = createServer({
      routes: () => {},
      tls: certificate,
      handlers: () => [
        handlerFromFetch(async (request) => {
          const { pathname, search, protocol } = new URL(request.url);
          if (pathname !== "/v1/echo") return undefined;
          const body = `${request.method} ${protocol} ${search} ${await request.text()}`;
          return new Response(body, { status: 201, headers: { "x-kind": "echo" } });
        }),
      ],
    });
    address = await server.listen();
  });

  afterAll(() => server.close({ graceMs: 0 }));

  it.each(transports)("answers %s", async (_, open) => {
    const transport = open({ baseUrl: address.url, nodeOptions: ca === undefined ? {} : { ca } });
    const { status } = await createClient(Health, transport).check({});
    assert.equal(status, HealthCheckResponse_ServingStatus.SERVING);
  });

  it("answers grpc-js", async () => {
    const channel =
      ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca));
    const health = openForeignService(
      address.port,
      { packageName: "grpc-health-check", file: protoPath, service: "grpc.health.v1.Health" },
      channel,
    );
    try {
      assert.deepEqual(await health.unary("Check", {}), { status: "SERVING" });
    } finally {
      health.close();
    }
  });

  it("hands HTTP/1.1 to the fetch handler", async () => {
    const send = isTls ? httpsRequest : httpRequest;
    const request = send(`${address.url}/v1/echo?a=b`, { method: "PUT", ca });
    request.end("hello");
    const [response] = await once(request, "response");
    assert.equal(response.statusCode, 201);
    assert.equal(response.headers["x-kind"], "echo");
    assert.equal(await text(response), `PUT ${isTls ? "https" : "http"}: ?a=b hello`);
  });

  it("hands HTTP/2 to the fetch handler", async () => {
    const session = connect(address.url, { ca });
    try {
      const stream = session.request({ ":method": "POST", ":path": "/v1/echo" });
      stream.end("hello");
      const [headers] = await once(stream, "response");
      assert.equal(headers[":status"], 201);
      assert.equal(await text(stream), `POST ${isTls ? "https" : "http"}:  hello`);
    } finally {
      session.close();
    }
  });
});

describe("a port with TLS", () => {
  it("closes a client that does not shake hands", async () => {
    const server = createServer({
      routes: () => {},
      tls: await createCertificate(),
      limits: { headersTimeoutMs: 50 },
      log: () => {},
    });
    const { port } = await server.listen();
    const connection = await openRawConnection(port);
    assert.equal(await connection.ended, "");
    await server.close({ graceMs: 0 });
  });
});

describe("the preface", () => {
  let server: Server;
  let address: ServerAddress;

  beforeAll(async () => {
    server = createServer({ routes: () => {} });
    address = await server.listen();
  });

  afterAll(() => server.close({ graceMs: 0 }));

  it("is known byte by byte as that of HTTP/2", async () => {
    const connection = await openRawConnection(address.port);
    for (const byte of http2Preface) {
      await connection.send(byte);
    }
    // A SETTINGS frame on stream 0 (RFC 9113, section 6.5).
    const answer = await connection.receives((received) => received.length >= 9);
    assert.equal(answer.slice(3, 9), "\x04\0\0\0\0\0");
    connection.socket.destroy();
  });

  it.each([
    ["a request", "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 "],
    [
      "a request that begins like the preface",
      "PRI / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "HTTP/1.1 400 ",
    ],
    ["a client of TLS", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "HTTP/1.1 400 "],
  ])("is distinguished from %s", async (_, bytes, expected) => {
    const connection = await openRawConnection(address.port);
    await connection.send(bytes.slice(0, 4));
    await connection.send(bytes.slice(4));
    const answer = await connection.receives((received) => received.length >= expected.length);
    assert.equal(answer.slice(0, expected.length), expected);
    connection.socket.destroy();
  });
});
