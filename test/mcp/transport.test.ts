import { describe, expect, it } from "vitest";
import { untilAborted } from "../support/print-work.js";
import { createPrintMcp, idle, modernVersion, settled } from "./support/mcp-client.js";

const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });

describe("the HTTP endpoint", () => {
  it("mcp 1: answers a request with JSON if there is nothing to notify", async () => {
    const { send } = createPrintMcp(untilAborted);
    const { headers, status } = await send("tools/list");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/json");
  });

  it("mcp 2: answers a notification with 202 and no body", async () => {
    const { fetch } = createPrintMcp(untilAborted);
    const response = await fetch(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }),
      }),
    );
    expect(response.status).toBe(202);
    expect(await response.text()).toBe("");
  });

  it.each(["GET", "DELETE", "PUT"])("mcp 3: answers %s with 405", async (method) => {
    const { fetch } = createPrintMcp(untilAborted);
    const response = await fetch(new Request("http://localhost/mcp", { method }));
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  });

  it.each([
    ["http://localhost/mcp", "https://evil.example", 403],
    ["http://localhost/mcp", "null", 403],
    ["http://localhost/mcp", "http://localhost.evil.example", 403],
    ["http://localhost/mcp", "http://127.0.0.1:3000", 200],
    ["https://api.example/mcp", "https://api.example", 403],
    ["https://api.example/mcp", "https://app.example", 200],
    ["https://api.example/mcp", "http://localhost:3000", 403],
  ])("mcp 4: answers %s called by a page of %s with %d", async (url, origin, status) => {
    const { post } = createPrintMcp(untilAborted, {
      mcp: { allowedOrigins: ["https://app.example"] },
    });
    expect((await post(ping, { origin }, url)).status).toBe(status);
  });

  it("mcp 6: refuses batches, other JSON, broken JSON, large bodies and other types", async () => {
    const { post } = createPrintMcp(untilAborted);
    const refusal = async (body: string, headers = {}) => {
      const { status, error } = await post(body, headers);
      return [status, error.code];
    };
    expect(await refusal(`[${ping}]`)).toEqual([400, -32600]);
    expect(await refusal("3")).toEqual([400, -32600]);
    expect(await refusal('{"id":1,"method":"ping"}')).toEqual([400, -32600]);
    expect(await refusal('{"jsonrpc":"2.0","id":null,"method":"ping"}')).toEqual([400, -32600]);
    expect(await refusal('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}')).toEqual([
      400, -32600,
    ]);
    expect(await refusal("{")).toEqual([400, -32700]);
    expect(await refusal(`${"[".repeat(200)}${"]".repeat(200)}`)).toEqual([400, -32700]);
    expect(await refusal('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}')).toEqual([400, -32700]);
    expect(await refusal(" ".repeat(4 * 1024 * 1024 + 1))).toEqual([413, -32600]);
    expect(await refusal(ping, { "content-type": "text/plain" })).toEqual([415, -32600]);
  });

  it("mcp 7: tells proxies not to buffer events, and keeps a silent stream open", async () => {
    const { clock, fetch, request } = createPrintMcp(untilAborted);
    const left = new AbortController();
    const response = await fetch(
      request("subscriptions/listen", { notifications: {} }, { signal: left.signal }),
    );
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const reader = response.body?.getReader();
    const read = async () => new TextDecoder().decode((await reader?.read())?.value);
    expect(await read()).toContain("notifications/subscriptions/acknowledged");
    await idle();
    await clock.advance(15_000);
    await idle();
    expect(await read()).toBe(":\n\n");
    await reader?.cancel();
    left.abort();
  });

  it("mcp 8: ignores session ids and event ids, and sends neither", async () => {
    const { send } = createPrintMcp(untilAborted);
    const answer = await send(
      "tools/list",
      {},
      { headers: { "mcp-session-id": "s1", "last-event-id": "7" } },
    );
    expect(answer.result.tools).toBeDefined();
    expect(answer.headers.get("mcp-session-id")).toBeNull();
  });

  it("serves its own path alone", async () => {
    const { post } = createPrintMcp(untilAborted, { mcp: { path: "/agents" } });
    expect((await post(ping, {}, "http://localhost/agents")).status).toBe(200);
    expect((await post(ping, {}, "http://localhost/mcp")).status).toBe(404);
  });

  it("passes on credentials and no header that could change the call", async () => {
    const seen: Headers[] = [];
    const { call, clock } = createPrintMcp(async () => ({ pages: 1 }), {
      operations: {
        authorize({ context }) {
          seen.push(new Headers(context.requestHeader));
          return { allow: true };
        },
      },
      mcp: { forwardHeaders: ["x-tenant"] },
    });
    const headers = {
      authorization: "Bearer t",
      "x-tenant": "a",
      "connect-timeout-ms": "1",
      "grpc-timeout": "1m",
      "x-user": "root",
      "content-encoding": "gzip",
      cookie: "session=1",
      "mcp-param-x": "1",
    };
    await settled(clock, call("PrintService_Print", {}, { headers }));
    const [first] = seen;
    expect(first?.get("authorization")).toBe("Bearer t");
    expect(first?.get("x-tenant")).toBe("a");
    for (const name of ["grpc-timeout", "x-user", "content-encoding", "cookie", "mcp-param-x"]) {
      expect(first?.get(name), name).toBeNull();
    }
    expect(first?.get("connect-timeout-ms")).not.toBe("1");
  });
});

describe("a modern request", () => {
  it("mcp 10: discovers versions, capabilities and how long to keep them", async () => {
    const { send } = createPrintMcp(untilAborted);
    const { result } = await send("server/discover");
    expect(result).toMatchObject({
      resultType: "complete",
      supportedVersions: expect.arrayContaining([modernVersion]),
      capabilities: { tools: {}, extensions: { "io.modelcontextprotocol/tasks": {} } },
      ttlMs: expect.any(Number),
      cacheScope: "public",
    });
  });

  it("mcp 11: needs a version and capabilities in _meta", async () => {
    const { post } = createPrintMcp(untilAborted);
    const headers = { "mcp-protocol-version": modernVersion, "mcp-method": "tools/list" };
    const body = (meta: object) =>
      JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta: meta } });
    for (const meta of [{}, { "io.modelcontextprotocol/protocolVersion": modernVersion }]) {
      const { status, error } = await post(body(meta), headers);
      expect([status, error.code]).toEqual([400, -32602]);
    }
  });

  it("mcp 12: is refused with the versions that are served if its own is unknown", async () => {
    const { send } = createPrintMcp(untilAborted);
    const { status, error } = await send(
      "tools/list",
      {},
      {
        meta: { "io.modelcontextprotocol/protocolVersion": "2031-01-01" },
        headers: { "mcp-protocol-version": "2031-01-01" },
      },
    );
    expect([status, error.code]).toEqual([400, -32022]);
    expect(error.data).toMatchObject({
      requested: "2031-01-01",
      supported: expect.arrayContaining([modernVersion]),
    });
  });

  it.each([
    ["mcp-protocol-version", "2025-11-25"],
    ["mcp-method", "tools/list"],
    ["mcp-name", "another"],
    ["mcp-name", "=?base64?!!!?="],
  ])("mcp 13: is refused if the header %s is %s", async (header, value) => {
    const { send } = createPrintMcp(untilAborted);
    const params = { name: "operation_get", arguments: {} };
    const { status, error } = await send("tools/call", params, { headers: { [header]: value } });
    expect([status, error.code]).toEqual([400, -32020]);
  });

  it.each(["mcp-protocol-version", "mcp-method", "mcp-name"])(
    "mcp 13: is refused without the header %s",
    async (header) => {
      const { fetch, request } = createPrintMcp(untilAborted);
      const made = request("tools/call", { name: "operation_get", arguments: {} }, {});
      made.headers.delete(header);
      const response = await fetch(made);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: -32020 } });
    },
  );

  it("mcp 14: may have its name encoded", async () => {
    const { send } = createPrintMcp(untilAborted);
    const encoded = `=?base64?${btoa("operation_get")}?=`;
    const answer = await send(
      "tools/call",
      { name: "operation_get", arguments: { operation: "operations/x" } },
      { headers: { "mcp-name": encoded } },
    );
    expect(answer.status).toBe(200);
  });

  it.each(["initialize", "tasks/result", "tasks/list", "ping", "resources/list"])(
    "mcp 15: has no method %s",
    async (method) => {
      const { send } = createPrintMcp(untilAborted);
      const { status, error } = await send(method, { name: "x" }, { headers: { "mcp-name": "y" } });
      expect([status, error.code]).toEqual([404, -32601]);
    },
  );

  it("mcp 16: gets a result type and the server's name in every result", async () => {
    const { send, call, clock } = createPrintMcp(async () => ({ pages: 1 }));
    const results = [
      (await send("server/discover")).result,
      (await send("tools/list")).result,
      (await settled(clock, call("PrintService_Print"))).result,
    ];
    for (const result of results) {
      expect(result.resultType).toBe("complete");
      expect(result._meta).toHaveProperty(["io.modelcontextprotocol/serverInfo", "name"]);
    }
  });

  it("mcp 17: needs no client info", async () => {
    const { send } = createPrintMcp(untilAborted);
    expect((await send("tools/list")).status).toBe(200);
  });

  it("mcp 18: carries nothing over to the next request", async () => {
    const { call } = createPrintMcp(untilAborted, { mcp: { waitMs: 0 } });
    expect((await call("PrintService_Print", {}, { tasks: true })).result.resultType).toBe("task");
    const plain = (await call("PrintService_Print")).result;
    expect(plain.resultType).toBe("complete");
  });
});

describe("a legacy request", () => {
  it.each([
    ["2025-11-25", "2025-11-25"],
    ["2025-06-18", "2025-06-18"],
    ["2025-03-26", "2025-03-26"],
    ["2024-11-05", "2025-11-25"],
    [modernVersion, "2025-11-25"],
  ])("mcp 19: that initializes with %s is answered with %s", async (asked, answered) => {
    const { send } = createPrintMcp(untilAborted);
    const { result } = await send("initialize", { protocolVersion: asked }, { era: "legacy" });
    expect(result.protocolVersion).toBe(answered);
    expect(result.resultType).toBeUndefined();
    expect((await send("ping", {}, { era: "legacy" })).result).toEqual({});
  });

  it("mcp 20: works without a version header, and is refused with an unknown one", async () => {
    const { send } = createPrintMcp(untilAborted);
    expect((await send("tools/list", {}, { era: "legacy" })).result.tools).toHaveLength(5);
    const header = (version: string) => ({
      era: "legacy" as const,
      headers: { "mcp-protocol-version": version },
    });
    expect((await send("tools/list", {}, header("2025-06-18"))).status).toBe(200);
    expect((await send("tools/list", {}, header("1999-01-01"))).status).toBe(400);
  });

  it("mcp 21: is offered no tasks, and params.task changes nothing", async () => {
    const { send, clock } = createPrintMcp(async () => ({ pages: 1 }));
    const { result } = await send("initialize", {}, { era: "legacy" });
    expect(result.capabilities).toEqual({ tools: {} });
    const params = { name: "PrintService_Print", arguments: {}, task: { ttl: 1000 } };
    const answer = await settled(clock, send("tools/call", params, { era: "legacy" }));
    expect(answer.result.structuredContent).toMatchObject({ done: true });
  });
});
