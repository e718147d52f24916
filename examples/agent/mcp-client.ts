/** A result of `tools/call`. */
export interface ToolResult {
  readonly content: readonly { readonly type: string; readonly text: string }[];
  readonly structuredContent?: OperationAnswer;
  readonly isError: boolean;
}

/** The answer of a tool that starts or follows an operation. */
export interface OperationAnswer {
  readonly operation: string;
  readonly done: boolean;
  readonly state: "running" | "succeeded" | "failed" | "cancelled";
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly response?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly message: string };
  /** The call to make next; absent if the operation is done. */
  readonly next?: { readonly tool: string; readonly arguments: Readonly<Record<string, unknown>> };
}

/** A tool of `tools/list`. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
}

/** A client of MCP 2026-07-28 over HTTP, with as much of the protocol as a script needs. */
export interface McpClient {
  tools(): Promise<readonly Tool[]>;
  /** @param onProgress Called with each message of progress while the call waits. */
  call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    onProgress?: (message: string) => void,
  ): Promise<ToolResult>;
}

const version = "2026-07-28";

export function createMcpClient(url: string): McpClient {
  let lastId = 0;

  const request = async <Result>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    onProgress?: (message: string) => void,
  ): Promise<Result> => {
    lastId += 1;
    const id = lastId;
    const meta = {
      "io.modelcontextprotocol/protocolVersion": version,
      "io.modelcontextprotocol/clientInfo": { name: "scripted-agent", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {},
      ...(onProgress === undefined ? {} : { progressToken: id }),
    };
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        // The headers repeat the body for proxies.
        "MCP-Protocol-Version": version,
        "Mcp-Method": method,
        ...(typeof params.name === "string" ? { "Mcp-Name": params.name } : {}),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: meta } }),
    });
    for await (const message of messagesOf(response)) {
      if (message.method === "notifications/progress") onProgress?.(message.params?.message ?? "");
      if (message.error !== undefined) throw new Error(`${method}: ${message.error.message}`);
      if (message.result !== undefined) return message.result as Result;
    }
    throw new Error(`${method}: the answer (status ${response.status}) has no result`);
  };

  return {
    tools: async () => (await request<{ tools: readonly Tool[] }>("tools/list", {})).tools,
    call: (name, args, onProgress) =>
      request<ToolResult>("tools/call", { name, arguments: args }, onProgress),
  };
}

interface Message {
  readonly method?: string;
  readonly params?: { readonly message?: string };
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** The messages of a response: one of JSON, or events as they come. */
async function* messagesOf(response: Response): AsyncGenerator<Message, void> {
  if (response.headers.get("Content-Type") !== "text/event-stream") {
    yield await response.json();
    return;
  }
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data !== undefined) yield JSON.parse(data.slice("data: ".length));
    }
  }
}
