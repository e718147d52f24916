import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { systemClock } from "../internal/clock.js";
import { createTimerQueue, type QueuedTimer } from "../internal/timer-queue.js";
import type { HandlerResponse } from "../web/handler.js";
import { headersOfRecord } from "../web/header-record.js";
import { withSendTimeout } from "./answer-guard.js";
import {
  cutOff,
  dropBody,
  type Exchange,
  isOver,
  isReceiving,
  stopReceivingAfterAnswer,
} from "./exchange.js";
import { nodeResponseOf } from "./node-request.js";

/**
 * Sends the response of an exchange, once. Returns undefined if Node has all of the response by
 * then.
 */
export type SendResponse = (
  exchange: Exchange,
  response: HandlerResponse,
) => Promise<void> | undefined;

/**
 * Creates the function that sends all responses of handlers, and all errors of the server itself.
 *
 * @param timeoutMs How long a client may leave a response unread before it is cut off. In
 * milliseconds; undefined for no limit.
 */
export function createSendResponse(timeoutMs: number | undefined): SendResponse {
  /** Whole responses that their clients have not taken. Each has a socket, which keeps the process alive. */
  const sending = createTimerQueue(systemClock, { background: true });

  /** Limits the time that the client has to take the rest of a response. */
  const limit = (exchange: Exchange) => {
    const { response } = exchange;
    // Over HTTP/1.1, the operating system has usually accepted the whole response at this point.
    const isTaken = exchange.version === 1 && response.writableLength === 0;
    if (timeoutMs === undefined || isTaken || isOver(exchange)) return;
    const timeout = new SendTimeout(exchange);
    response.once("close", () => sending.remove(timeout));
    sending.add(timeout, timeoutMs);
  };

  return (exchange, given) => {
    const { request, response } = exchange;
    const { status, headers, body, trailer } = nodeResponseOf(given, request.httpVersion);
    stopReceivingAfterAnswer(exchange);
    // The CORS code may have set `vary` too, because the response varies by both.
    const vary = response.getHeader("vary");
    const both = vary !== undefined && headers.vary !== undefined;
    const sent = both ? { ...headers, vary: `${headers.vary}, ${vary}` } : headers;
    const isWhole = typeof body === "string" || body instanceof Uint8Array || body === undefined;
    if (!isWhole || trailer !== undefined) {
      const pieces = isWhole ? oneOrNone(body) : body;
      return universalResponseToNodeResponse(
        {
          status,
          header: headersOfRecord(sent),
          body: withSendTimeout(exchange, pieces, timeoutMs),
          ...(trailer && { trailer }),
        },
        response,
      );
    }
    // `writeHead` sends the head before Node knows the length of the body.
    const length = sent["content-length"] ?? (body === undefined ? undefined : lengthOf(body));
    const head = length === undefined ? sent : { ...sent, "content-length": length };
    const content = request.method === "HEAD" ? "" : (body ?? "");
    if (exchange.version === 2) {
      endHttp2(exchange.response, status, head, content);
      limit(exchange);
      return undefined;
    }
    exchange.response.writeHead(status, head);
    if (isReceiving(exchange)) return sendWhileReceiving(exchange, content);
    endHttp1(exchange.response, content);
    limit(exchange);
    return undefined;
  };

  /** The end closes the connection, which loses the response for a client that still sends. */
  async function sendWhileReceiving(
    exchange: Exchange & { readonly version: 1 },
    content: string | Uint8Array,
  ): Promise<void> {
    exchange.response.write(content);
    limit(exchange);
    await dropBody(exchange.request);
    exchange.response.end();
  }
}

/** Node sends the head and a text in one piece, but the head and bytes in two. */
function endHttp1(response: ServerResponse, content: string | Uint8Array): void {
  if (typeof content === "string" || content.byteLength > maxCopiedBytes) response.end(content);
  else {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    response.end(bytes.toString("latin1"), "latin1");
  }
}

function endHttp2(
  response: Http2ServerResponse,
  status: number,
  head: HandlerResponse["headers"],
  content: string | Uint8Array,
): void {
  if (content !== "") {
    response.writeHead(status, head).end(content);
    return;
  }
  // The stream ends together with the headers, because gRPC treats headers as trailers only in that
  // case (PROTOCOL-HTTP2.md).
  response.statusCode = status;
  for (const [name, value] of Object.entries(head)) response.setHeader(name, value);
  response.end();
}

/** Bytes of a body that is copied next to its head, at most. */
const maxCopiedBytes = 16_384;

/** Cuts an exchange off whose client does not take the response. */
class SendTimeout implements QueuedTimer {
  dueMs = 0;
  place = -1;

  constructor(private readonly exchange: Exchange) {}

  onDue(): void {
    cutOff(this.exchange);
  }
}

function lengthOf(body: string | Uint8Array): string {
  return String(typeof body === "string" ? Buffer.byteLength(body) : body.byteLength);
}

async function* oneOrNone(body: string | Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (body !== undefined) yield typeof body === "string" ? Buffer.from(body) : body;
}
