// MCP over standard input and output (MCP 2026-07-28, basic/transports/stdio). Each line is one
// JSON-RPC message, in both directions.
import type { JsonObject } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { parseJson } from "../json/parse-json.js";
import {
  clientMessageOf,
  errorCodes,
  errorResponse,
  JsonRpcError,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type RequestId,
  resultResponse,
  rpcErrorOf,
} from "./json-rpc.js";
import type { McpService } from "./mcp-service.js";

/** Longest line, in bytes. */
const maxLineBytes = 4 * 1024 * 1024;
/** Most requests under way; a further one is refused, so that cancellations are still read. */
const maxRequests = 100;

/** The two streams, and the server behind the tools. */
export interface StdioOptions {
  readonly transport: Transport;
  readonly input: AsyncIterable<Uint8Array>;
  /** Writes one line, which ends in a line break. */
  write(line: string): void;
}

/**
 * Answers requests until the input ends or the signal aborts. Requests under way are cancelled then;
 * their operations go on.
 */
export async function serveStdio(
  service: McpService,
  { transport, input, write }: StdioOptions,
  signal: AbortSignal,
): Promise<void> {
  const running = new Map<RequestId, AbortController>();
  const answers = new Set<Promise<void>>();
  const send = (message: JsonObject) => write(`${JSON.stringify(message)}\n`);

  const answer = async (request: JsonRpcRequest) => {
    const cancelled = new AbortController();
    running.set(request.id, cancelled);
    try {
      const result = await service.answer(request, {
        transport,
        headers: new Headers(),
        signal: cancelled.signal,
        notify: send,
      });
      if (!cancelled.signal.aborted) send(resultResponse(request.id, result));
    } catch (error) {
      // A cancelled request gets no response (basic/patterns/cancellation).
      if (!cancelled.signal.aborted) send(errorResponse(request.id, rpcErrorOf(error)));
    } finally {
      running.delete(request.id);
    }
  };

  const take = (line: Uint8Array) => {
    const message = clientMessageOf(
      parseJson(line, (problem) => new JsonRpcError(errorCodes.parse, `the line ${problem}`)),
    );
    if (message.kind === "notification") cancelIfAsked(message.notification, running);
    if (message.kind !== "request") return;
    if (running.has(message.request.id)) {
      throw new JsonRpcError(errorCodes.invalidRequest, "a request with this id is under way");
    }
    if (answers.size >= maxRequests) {
      const error = new JsonRpcError(
        errorCodes.internal,
        `${maxRequests} requests are under way, which is the limit`,
      );
      send(errorResponse(message.request.id, error));
      return;
    }
    const answered: Promise<void> = answer(message.request).finally(() => answers.delete(answered));
    answers.add(answered);
  };

  try {
    for await (const line of linesOf(input, signal)) {
      try {
        if (line === "tooLong") {
          const problem = `the line is longer than ${maxLineBytes} bytes`;
          throw new JsonRpcError(errorCodes.invalidRequest, problem);
        }
        take(line);
      } catch (error) {
        send(errorResponse(undefined, rpcErrorOf(error)));
      }
    }
  } finally {
    for (const cancelled of running.values()) cancelled.abort();
    await Promise.allSettled(answers);
  }
}

function cancelIfAsked(
  { method, params }: JsonRpcNotification,
  running: ReadonlyMap<RequestId, AbortController>,
): void {
  const { requestId } = params;
  if (method !== "notifications/cancelled") return;
  if (typeof requestId === "string" || typeof requestId === "number") {
    running.get(requestId)?.abort();
  }
}

/** Yields the lines without their ends, and empty lines not at all. */
async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array | "tooLong", void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of untilAborted(input, signal)) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      const part = chunk.subarray(start, end);
      size += part.byteLength;
      if (size > maxLineBytes) yield "tooLong";
      else if (size > 0) yield joined([...parts, part], size);
      parts = [];
      size = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    size += rest.byteLength;
    if (size <= maxLineBytes) parts.push(rest);
    else parts = [];
  }
  if (size > maxLineBytes) yield "tooLong";
  else if (size > 0) yield joined(parts, size);
}

const lineFeed = 0x0a;

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const line = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    line.set(part, at);
    at += part.byteLength;
  }
  return line;
}

async function* untilAborted(
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const iterator = input[Symbol.asyncIterator]();
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  for (;;) {
    const next = await Promise.race([iterator.next(), aborted]);
    if (next === undefined || next.done) return;
    yield next.value;
  }
}
