import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import {
  createTaskSessionFromClient,
  DispatchError,
  type JsonRpcResponse,
  resultFromTaskOutcome,
  type SerializedTaskReference,
} from "@modelcontextprotocol/ext-tasks/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PrintServer, startPrintServer } from "./print-server.js";
import {
  type Connect,
  type Envelope,
  inspectorIn,
  type StockClient,
  sdkV1OverHttp,
  sdkV1OverStdio,
  sdkV2,
} from "./stock-clients.js";

/** A page takes a second. */
const pages = 75;

/** When the server is killed, in milliseconds after the clients have begun. */
const killsMs = [20_000, 40_000];

/** How long a client that lost its server waits until it connects again. */
const reconnectMs = 500;

const lastMs = 180_000;

/** The one job of a client, as the client saw it. */
interface Followed {
  readonly final: Envelope;
  /** All names of operations that the answers had. */
  readonly operations: ReadonlySet<string>;
  /** How often a call failed because the server was gone. */
  readonly interruptions: number;
  readonly tookMs: number;
}

/**
 * Starts a job and waits for its end, as an agent does: it makes the call that the last answer names,
 * and after a lost connection it connects again. The request id makes a repeated start the same job.
 */
async function follow(connect: Connect, url: string): Promise<Followed> {
  const begunMs = performance.now();
  const requestId = randomUUID();
  const operations = new Set<string>();
  let interruptions = 0;
  let client: StockClient | undefined;
  let next: Envelope["next"];
  for (;;) {
    try {
      client ??= await connect(url);
      const answer =
        next === undefined
          ? await client.call("PrintService_Print", { pages, requestId })
          : await client.call(next.tool, next.arguments);
      operations.add(answer.operation);
      next = answer.next;
      if (!answer.done) continue;
      await client.close();
      return { final: answer, operations, interruptions, tookMs: performance.now() - begunMs };
    } catch (error) {
      if (performance.now() - begunMs > lastMs) throw error;
      interruptions += 1;
      await client?.close().catch(() => undefined);
      client = undefined;
      await sleep(reconnectMs);
    }
  }
}

const version = "2026-07-28";
const clientInfo = { name: "stock-client", version: "1.0.0" };

/** Sends a request for the requester of ext-tasks, because the SDK's codecs refuse results of tasks. */
async function dispatch(url: string, request: unknown): Promise<JsonRpcResponse> {
  const { method, params } = request as {
    method: string;
    params: { name?: string; taskId?: string };
  };
  try {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": method,
        "mcp-name": params.taskId ?? params.name ?? "",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: randomUUID(), method, params }),
    });
    const { result, error } = await response.json();
    return error === undefined ? { kind: "result", result } : { kind: "error", error };
  } catch (cause) {
    throw new DispatchError("the server is gone", true, { cause });
  }
}

/** Lets the requester of ext-tasks poll the task, and resumes the task after a lost connection. */
async function followTask(url: string): Promise<Followed> {
  const begunMs = performance.now();
  let interruptions = 0;
  const client = new Client(clientInfo, { versionNegotiation: { mode: { pin: version } } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  const session = createTaskSessionFromClient(client, {
    endpointId: "printing",
    rawDispatch: (request) => dispatch(url, request),
    v2RequestFraming: { protocolVersion: version, clientInfo, clientCapabilities: {} },
  });
  let reference: SerializedTaskReference | undefined;
  for (;;) {
    try {
      const execution =
        reference === undefined
          ? await session.callTool("PrintService_Print", { pages })
          : await session.resumeTask(reference);
      if (execution.kind === "task") reference = execution.serializeReference();
      const { outcome } = await execution.settle();
      if (outcome.status === "failed") throw outcome.error;
      const final = resultFromTaskOutcome(outcome).structuredContent as unknown as Envelope;
      await session.close();
      await client.close();
      const operations = new Set([final.operation, reference?.taskId ?? ""]);
      return { final, operations, interruptions, tookMs: performance.now() - begunMs };
    } catch (error) {
      if (performance.now() - begunMs > lastMs) throw error;
      interruptions += 1;
      await sleep(reconnectMs);
    }
  }
}

const clients = {
  "SDK 1 over HTTP": (url) => follow(sdkV1OverHttp(), url),
  "SDK 1 over HTTP, with progress": (url) =>
    follow(
      sdkV1OverHttp(() => undefined),
      url,
    ),
  "SDK 1 over stdio": (url) => follow(sdkV1OverStdio, url),
  "SDK 2, as it is set up": (url) => follow(sdkV2("legacy"), url),
  "SDK 2, pinned to 2026-07-28": (url) => follow(sdkV2({ pin: version }), url),
  "SDK 2 with the requester of ext-tasks": followTask,
  "the Inspector's command, legacy": (url) => follow(inspectorIn("legacy"), url),
  "the Inspector's command, modern": (url) => follow(inspectorIn("modern"), url),
} satisfies Record<string, (url: string) => Promise<Followed>>;

type Name = keyof typeof clients;
const names = Object.keys(clients) as Name[];

let server: PrintServer;
const jobs = new Map<Name, Promise<Followed>>();
let restarts: Promise<void>;

/** All clients work at the same time, on one server, which is killed twice. */
beforeAll(async () => {
  server = await startPrintServer();
  for (const name of names) {
    const job = clients[name](server.url);
    job.catch(() => undefined);
    jobs.set(name, job);
  }
  const begunMs = performance.now();
  restarts = (async () => {
    for (const killMs of killsMs) {
      await sleep(Math.max(0, begunMs + killMs - performance.now()));
      await server.killAndRestart();
    }
  })();
}, 60_000);
afterAll(() => server.close());

describe(`a job of ${pages} s, with the server killed after 20 and 40 s`, () => {
  it.each(names)("ends with its result: %s", { timeout: 2 * lastMs }, async (name) => {
    await restarts;
    const followed = await jobs.get(name);
    expect(followed?.final).toMatchObject({ done: true, state: "succeeded", response: { pages } });
    expect([...(followed?.operations ?? [])]).toEqual([followed?.final.operation]);
    // The command between SDK 1 and the server polls through an outage.
    if (name !== "SDK 1 over stdio") expect(followed?.interruptions).toBeGreaterThan(0);
    expect(followed?.tookMs).toBeGreaterThanOrEqual(pages * 1000);
  });
});
