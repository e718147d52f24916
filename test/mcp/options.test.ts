import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { createDescriptions } from "../../src/mcp/descriptions.js";
import { createMcpHandler, type McpHandlerOptions } from "../../src/mcp/index.js";
import { Operations } from "../../src/protos.js";
import { createOperations } from "../../src/server/index.js";
import { createWebHandler } from "../../src/web/index.js";
import { KindsService } from "../gen/kinds/v1/kinds_pb.js";
import { PrintService } from "../gen/printing/v1/printing_pb.js";
import { Print } from "../support/print-server.js";
import { untilAborted } from "../support/print-work.js";
import { createMcpClient, createPrintMcp, settled } from "./support/mcp-client.js";

describe("an option of the MCP handler", () => {
  it.each<[McpHandlerOptions]>([
    [{ waitMs: -1 }],
    [{ waitMs: 50_001 }],
    [{ waitMs: Number.NaN }],
    [{ callTimeoutMs: 0 }],
    [{ callTimeoutMs: 2 ** 31 }],
    [{ maxResultLength: 999 }],
    [{ protectedResource: { resource: "https://a.example/mcp", authorizationServers: [] } }],
    [{ tasks: false, methods: () => ({ task: "required" }) }],
  ])("is refused out of its bounds: %j", (mcp) => {
    expect(() => createPrintMcp(untilAborted, { mcp })).toThrow(RangeError);
  });

  it("requires tasks of long-running methods alone", () => {
    expect(() =>
      createPrintMcp(untilAborted, {
        mcp: { methods: ({ parent }) => parent === KindsService && { task: "required" } },
        routes: (router) => router.service(KindsService, { put: (request) => request }),
      }),
    ).toThrow(/requires tasks, but its method is not long-running/);
  });

  it("switches tasks off", async () => {
    const { call, send } = createPrintMcp(untilAborted, { mcp: { tasks: false, waitMs: 0 } });
    const { result } = await send("server/discover");
    expect(result.capabilities).toEqual({ tools: {} });
    expect((await call("PrintService_Print", {}, { tasks: true })).result.resultType).toBe(
      "complete",
    );
    const taskId = "operations/0190a0a0-0000-7000-8000-000000000000";
    expect((await send("tasks/get", { taskId }, { tasks: true })).status).toBe(404);
  });

  it("ends a call of another method after callTimeoutMs", async () => {
    const { call, clock } = createPrintMcp(untilAborted, {
      mcp: { methods: () => true, callTimeoutMs: 50 },
      routes: (router) =>
        router.service(KindsService, {
          put: (_, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason));
            }),
        }),
    });
    const { result } = await settled(clock, call("KindsService_Put"));
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain("DEADLINE_EXCEEDED");
  });

  it("cuts the comments of a descriptor set at 1000 characters", () => {
    const file = (comment: string) =>
      create(FileDescriptorProtoSchema, {
        name: "a.proto",
        syntax: "proto3",
        messageType: [{ name: "M" }],
        sourceCodeInfo: { location: [{ path: [4, 0], span: [0, 0, 0], leadingComments: comment }] },
      });
    const descriptionOf = (comment: string) => {
      const proto = file(comment);
      const desc = createFileRegistry(proto, () => undefined).getMessage("M");
      const set = create(FileDescriptorSetSchema, { file: [proto] });
      return desc && createDescriptions(set).of(desc);
    };
    expect(descriptionOf("x".repeat(1000))).toBe("x".repeat(1000));
    expect(descriptionOf("x".repeat(1001))).toBe(`${"x".repeat(999)}…`);
  });

  it("lets a page of an allowed origin call, where the server has it in cors", async () => {
    const page = "https://app.example";
    const operations = createOperations();
    const handler = createWebHandler({
      cors: {
        origins: [page],
        allowedHeaders: ["authorization", "mcp-protocol-version", "mcp-method", "mcp-name"],
      },
      routes(router) {
        router.service(Operations, operations.service);
        router.service(PrintService, { print: operations.handle(Print, untilAborted) });
      },
      handlers: (router) => [createMcpHandler(router, { operations, allowedOrigins: [page] })],
    });
    const url = "https://api.example/mcp";
    const preflight = await handler.fetch(
      new Request(url, {
        method: "OPTIONS",
        headers: { origin: page, "access-control-request-method": "POST" },
      }),
    );
    expect(preflight.headers.get("access-control-allow-origin")).toBe(page);
    expect(preflight.headers.get("access-control-allow-headers")).toMatch(/mcp-method/);
    const { send } = createMcpClient(handler, url);
    const answer = await send("tools/list", {}, { headers: { origin: page } });
    expect(answer.headers.get("access-control-allow-origin")).toBe(page);
    expect(answer.result.tools).toBeDefined();
    await operations.shutdown({ graceMs: 0 });
  });
});
