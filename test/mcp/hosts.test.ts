import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMcpHandler } from "../../src/mcp/index.js";
import { createServer, type Server } from "../../src/node/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";

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

async function statusOf(headers: Record<string, string>): Promise<number | undefined> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
  const sent = request({
    host: "127.0.0.1",
    port,
    path: "/mcp",
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  sent.end(body);
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
});
