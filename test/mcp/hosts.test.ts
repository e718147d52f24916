import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMcpHandler } from "../../src/mcp/index.js";
import { createServer, type Server } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { openRawConnection } from "../support/raw-connection.js";

let server: Server;
let port: number;

beforeAll(async () => {
  const operations = createOperations();
  server = createServer({
    operations,
    routes(router) {
      router.service(Operations, operations.service);
      router.service(PrintService, { print: operations.handle(Print, async () => ({ pages: 1 })) });
    },
    handlers: (router) => [createMcpHandler(router, { operations })],
  });
  ({ port } = await server.listen({ host: "127.0.0.1", port: 0 }));
});

afterAll(() => server.close({ graceMs: 0 }));

const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });

async function statusOf(headers: Record<string, string>): Promise<number | undefined> {
  const sent = request({
    host: "127.0.0.1",
    port,
    path: "/mcp",
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  sent.end(ping);
  const [response] = await once(sent, "response");
  response.resume();
  return response.statusCode;
}

describe("an endpoint on a loopback address", () => {
  it.each(["localhost", "127.0.0.1", "[::1]"])("mcp 5: takes the host %s", async (name) => {
    expect(await statusOf({ host: `${name}:${port}` })).toBe(200);
  });

  it.each(["evil.example", "localhost.evil.example", "10.0.0.1"])(
    "mcp 5: refuses the host %s",
    async (name) => {
      const status = await statusOf({ host: `${name}:${port}` });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    },
  );

  it("mcp 4: refuses a page of another origin through the port as well", async () => {
    const origin = "https://evil.example";
    expect(await statusOf({ host: `localhost:${port}`, origin })).toBe(403);
  });

  it.each([
    ["a target of another host", "POST http://evil.example/mcp", ["Host: localhost"]],
    ["two hosts", "POST /mcp", ["Host: localhost", "Host: evil.example"]],
    ["a host with a name before it", "POST /mcp", ["Host: localhost@evil.example"]],
    ["no host", "POST /mcp", []],
    [
      "a forwarded host of this machine",
      "POST /mcp",
      ["Host: evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"],
    ],
    ["two origins", "POST /mcp", ["Host: localhost", "Origin: http://localhost", "Origin: null"]],
  ])("mcp 4: refuses %s", async (_, line, headers) => {
    const all = [...headers, "Content-Type: application/json", `Content-Length: ${ping.length}`];
    const connection = await openRawConnection(port);
    await connection.send(`${line} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n${ping}`);
    const received = await connection.receives((text) => text.includes("\r\n\r\n"));
    expect(received).toMatch(/^HTTP\/1\.1 4\d\d /);
    connection.socket.destroy();
  });

  it("reads no second request out of the body of one with two lengths", async () => {
    const hidden = `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${ping.length}\r\n\r\n${ping}`;
    const body = `0\r\n\r\n${hidden}`;
    const headers = [
      "Host: localhost",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      "Transfer-Encoding: chunked",
    ];
    const connection = await openRawConnection(port);
    await connection.send(`POST /mcp HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n${body}`);
    const received = await connection.ended;
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });
});
