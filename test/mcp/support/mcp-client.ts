import type { JsonObject } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { createMcpHandler, type McpHandlerOptions } from "../../../src/mcp/index.js";
import { Operations } from "../../../src/protos.js";
import {
  createOperations,
  type MethodOptions,
  type OperationsOptions,
  type OperationsServer,
} from "../../../src/server/index.js";
import { createManualClock, type ManualClock } from "../../../src/testing/index.js";
import { createWebHandler, type WebHandler } from "../../../src/web/index.js";
import {
  type PrintRequestSchema,
  type PrintResponseSchema,
  PrintService,
} from "../../gen/printing/v1/printing_pb.js";
import { Print, type PrintWork } from "../../support/print-server.js";

export const modernVersion = "2026-07-28";
export const tasksExtension = "io.modelcontextprotocol/tasks";

/** Settings of one request. */
export interface SendOptions {
  /** Default: modern. */
  readonly era?: "modern" | "legacy";
  /** Whether the client declares the extension for tasks. Default: false. */
  readonly tasks?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly meta?: JsonObject;
  readonly signal?: AbortSignal;
  /** Default: both that the protocol asks for. */
  readonly accept?: string;
}

/** The answer of an endpoint: its status, its headers, and its messages in the order of arrival. */
export interface McpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly messages: readonly JsonObject[];
  /** The result of the last message; fails the test if that is an error. */
  readonly result: Readonly<Record<string, unknown>>;
  readonly error: { code: number; message: string; data?: JsonObject };
}

/** A client of an MCP endpoint in this process, without an SDK. */
export function createMcpClient(handler: Pick<WebHandler, "fetch">, url = "http://localhost/mcp") {
  let ids = 0;
  const request = (method: string, params: JsonObject, options: SendOptions): Request => {
    const { era = "modern", meta = {}, accept = "application/json, text/event-stream" } = options;
    const extensions = options.tasks ? { extensions: { [tasksExtension]: {} } } : {};
    const modernMeta = {
      "io.modelcontextprotocol/protocolVersion": modernVersion,
      "io.modelcontextprotocol/clientCapabilities": extensions,
    };
    const modernHeaders: Record<string, string> = {
      "mcp-protocol-version": modernVersion,
      "mcp-method": method,
    };
    const name = params.name ?? params.taskId;
    if (typeof name === "string") modernHeaders["mcp-name"] = name;
    ids += 1;
    return new Request(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept,
        ...(era === "modern" ? modernHeaders : {}),
        ...options.headers,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: ids,
        method,
        params: { ...params, _meta: { ...(era === "modern" ? modernMeta : {}), ...meta } },
      }),
      signal: options.signal ?? null,
    });
  };
  const send = async (method: string, params: JsonObject = {}, options: SendOptions = {}) =>
    answerOf(await handler.fetch(request(method, params, options)));
  const call = (name: string, args: JsonObject = {}, options: SendOptions = {}) =>
    send("tools/call", { name, arguments: args }, options);
  /** Sends a body as it is. */
  const post = async (body: BodyInit, headers: Record<string, string> = {}, path = url) =>
    answerOf(
      await handler.fetch(
        new Request(path, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body,
        }),
      ),
    );
  return { request, send, call, post, fetch: handler.fetch };
}

export async function answerOf(response: Response): Promise<McpAnswer> {
  const text = await response.text();
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const messages: JsonObject[] = isStream
    ? text
        .split("\n\n")
        .flatMap((event) => event.split("\n").filter((line) => line.startsWith("data: ")))
        .map((line) => JSON.parse(line.slice("data: ".length)))
    : text === ""
      ? []
      : [JSON.parse(text)];
  const last = messages.at(-1);
  return {
    status: response.status,
    headers: response.headers,
    messages,
    get result() {
      if (last === undefined || !("result" in last)) throw new Error(`no result: ${text}`);
      return last.result as McpAnswer["result"];
    },
    get error() {
      if (last === undefined || !("error" in last)) throw new Error(`no error: ${text}`);
      return last.error as McpAnswer["error"];
    },
  };
}

export interface PrintMcpOptions {
  readonly mcp?: McpHandlerOptions;
  readonly operations?: OperationsOptions;
  readonly method?: MethodOptions<typeof PrintRequestSchema, typeof PrintResponseSchema>;
  /** Adds more services to the router. */
  readonly routes?: (router: ConnectRouter, operations: OperationsServer) => void;
}

/** An MCP endpoint for the print service, in process and on a manual clock. */
export function createPrintMcp(work: PrintWork, options: PrintMcpOptions = {}) {
  const clock: ManualClock = createManualClock();
  const operations: OperationsServer = createOperations({
    clock,
    log: () => undefined,
    ...options.operations,
  });
  const handler = createWebHandler({
    routes(router) {
      router.service(Operations, operations.service);
      router.service(PrintService, { print: operations.handle(Print, work, options.method) });
      options.routes?.(router, operations);
    },
    handlers: (router) => [createMcpHandler(router, { clock, operations, ...options.mcp })],
    log: () => undefined,
  });
  return { clock, operations, ...createMcpClient(handler) };
}

/** Moves a clock on until a promise settles, in steps of a second. */
export async function settled<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = () => {
    isSettled = true;
  };
  promise.then(done, done);
  for (let step = 0; step < 600 && !isSettled; step += 1) {
    await idle();
    if (!isSettled) await clock.advance(1000);
  }
  return promise;
}

/** Lets everything happen that needs no time: a request passes through some thirty turns of the loop. */
export async function idle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
