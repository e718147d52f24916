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

/** Sends the response of an exchange, once. */
export type SendResponse = (exchange: Exchange, response: HandlerResponse) => Promise<void>;

/**
 * Creates the function that sends all responses of handlers and all errors of the server itself.
 *
 * @param timeoutMs How long a client may leave a response unread before it is cut off. In
 *   milliseconds; undefined for no limit.
 */
export function createSendResponse(timeoutMs: number | undefined): SendResponse {
  /** Whole responses that their clients have not taken. Each has a socket, which keeps the process alive. */
  const sending = createTimerQueue(systemClock, { background: true });

  return async (exchange, given) => {
    const { request, response } = exchange;
    const { status, headers, body, trailer } = nodeResponseOf(given, request.httpVersion);
    stopReceivingAfterAnswer(exchange);
    // CORS has set `vary` too: the response varies by both.
    const vary = response.getHeader("vary");
    const both = vary !== undefined && headers.vary !== undefined;
    const sent = both ? { ...headers, vary: `${headers.vary}, ${vary}` } : headers;
    const isWhole = typeof body === "string" || body instanceof Uint8Array || body === undefined;
    if (!isWhole || trailer !== undefined) {
      const pieces = isWhole ? oneOrNone(body) : body;
      await universalResponseToNodeResponse(
        {
          status,
          header: headersOfRecord(sent),
          body: withSendTimeout(exchange, pieces, timeoutMs),
          ...(trailer && { trailer }),
        },
        response,
      );
      return;
    }
    if (timeoutMs !== undefined && !isOver(exchange)) {
      const timeout = new SendTimeout(exchange);
      response.once("close", () => sending.remove(timeout));
      sending.add(timeout, timeoutMs);
    }
    // `writeHead` sends the head before Node knows the length of the body.
    const length = sent["content-length"] ?? (body === undefined ? undefined : lengthOf(body));
    const head = length === undefined ? sent : { ...sent, "content-length": length };
    const text = request.method === "HEAD" ? "" : (body ?? "");
    if (exchange.version === 2) {
      if (text !== "") {
        exchange.response.writeHead(status, head).end(text);
        return;
      }
      // Ends the stream with the headers: gRPC takes them for trailers only then (PROTOCOL-HTTP2.md).
      exchange.response.statusCode = status;
      for (const [name, value] of Object.entries(head)) exchange.response.setHeader(name, value);
      exchange.response.end();
      return;
    }
    exchange.response.writeHead(status, head);
    if (!isReceiving(exchange)) {
      exchange.response.end(text);
      return;
    }
    // The end closes the connection, which loses the response for a client that still sends.
    exchange.response.write(text);
    await dropBody(exchange.request);
    exchange.response.end();
  };
}

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
