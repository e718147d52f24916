// Published clients of MCP, each as its makers document it, behind one interface.
import { fileURLToPath } from "node:url";
import {
  StreamableHTTPClientTransport as ModernHttpTransport,
  Client as SdkV2Client,
  type VersionNegotiationOptions,
} from "@modelcontextprotocol/client";
import { Client as SdkV1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { runProgram } from "./run-program.js";

/** The answer of a long-running tool and of `operation_wait`. */
export interface Envelope {
  readonly operation: string;
  readonly done: boolean;
  readonly state: string;
  readonly response?: { readonly pages: number };
  readonly next?: { readonly tool: string; readonly arguments: { readonly operation: string } };
}

export interface StockClient {
  /** Calls a tool and returns its structured content, which the client has checked. */
  call(tool: string, args: Record<string, unknown>): Promise<Envelope>;
  tools(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Connects a client to the server at a URL. */
export type Connect = (url: string) => Promise<StockClient>;

const info = { name: "stock-client", version: "1.0.0" };

/** Longer than the endpoint's wait of 25 s, shorter than the clients' own 60 s. */
const timeoutMs = 30_000;

function envelopeIn(result: object): Envelope {
  if (!("structuredContent" in result)) throw new Error(`no envelope: ${JSON.stringify(result)}`);
  return result.structuredContent as Envelope;
}

async function connectSdkV1(
  transport: StreamableHTTPClientTransport | StdioClientTransport,
  onprogress?: () => void,
): Promise<StockClient> {
  const client = new SdkV1Client(info);
  await client.connect(transport);
  return {
    async call(name, args) {
      const options = onprogress === undefined ? {} : { onprogress };
      const call = { name, arguments: args };
      return envelopeIn(await client.callTool(call, undefined, { timeout: timeoutMs, ...options }));
    },
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    close: () => client.close(),
  };
}

/** SDK 1 over HTTP. With a listener it asks for progress, and the answers are streams. */
export const sdkV1OverHttp =
  (onprogress?: () => void): Connect =>
  (url) =>
    connectSdkV1(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)), onprogress);

const command = fileURLToPath(new URL("../../../src/cli/longrunning.ts", import.meta.url));

/** SDK 1 with `longrunning mcp` as its server over standard input and output. */
export const sdkV1OverStdio: Connect = (url) =>
  connectSdkV1(
    new StdioClientTransport({
      command: process.execPath,
      args: ["--import", "tsx", command, "mcp", "--server", url],
      stderr: "inherit",
    }),
  );

/** SDK 2, in one of its ways to agree on a version. */
export const sdkV2 =
  (mode: NonNullable<VersionNegotiationOptions["mode"]>): Connect =>
  async (url) => {
    const client = new SdkV2Client(info, { versionNegotiation: { mode } });
    await client.connect(new ModernHttpTransport(new URL(`${url}/mcp`)));
    return {
      async call(name, args) {
        const call = { name, arguments: args };
        return envelopeIn(await client.callTool(call, { timeout: timeoutMs }));
      },
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      close: () => client.close(),
    };
  };

/** The program of the Inspector. */
export const inspector = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";

/** The Inspector's command, one process for each call. In the modern era it polls tasks to their end. */
export const inspectorIn =
  (era: "legacy" | "modern"): Connect =>
  async (url) => {
    const run = async (...args: string[]) => {
      const target = ["--cli", `${url}/mcp`, "--protocol-era", era, "--format", "json"];
      const { exitCode, stdout, stderr } = await runProgram(inspector, [...target, ...args]);
      // 5 says that the result is an error, which is on standard output like any other.
      if (exitCode !== 0 && exitCode !== 5) {
        throw new Error(`the Inspector ended with ${exitCode}: ${stderr}`);
      }
      return JSON.parse(stdout).result;
    };
    return {
      async call(tool, args) {
        const json = ["--tool-name", tool, "--tool-args-json", JSON.stringify(args)];
        return envelopeIn(await run("--method", "tools/call", ...json));
      },
      async tools() {
        const { tools } = await run("--method", "tools/list");
        return tools.map(({ name }: { name: string }) => name);
      },
      close: async () => undefined,
    };
  };
