import type { IncomingMessage, ServerResponse } from "node:http";
import { Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { ConnectError, type ContextValues } from "@connectrpc/connect";
import { notifySafely } from "../internal/notify-safely.js";
import { oneChunk } from "../internal/one-chunk.js";
import { httpStatusFromCode } from "../status/http-status.js";
import { isCrossSite } from "../web/cross-site.js";
import { errorResponse, printFailure } from "../web/error-response.js";
import { crossSite, internalError, notServed } from "../web/errors.js";
import type { Handler, HandlerFailure } from "../web/handler.js";
import { badTarget, bodyAlreadyRead } from "./errors.js";
import { cutOff, type Exchange, hasBody, isOver, pathOf, urlOf } from "./exchange.js";
import type { NodeHead } from "./node-request.js";
import { createSendResponse } from "./send-response.js";
import { callHandlers } from "./serve-handlers.js";

/** A request of node:http or node:http2, its response, and the next middleware, if there is one. */
type ListenerArguments =
  | readonly [request: IncomingMessage, response: ServerResponse, next?: Next]
  | readonly [request: Http2ServerRequest, response: Http2ServerResponse, next?: Next];

type Next = (error?: unknown) => void;

/** A request listener of node:http and node:http2, and a middleware of Express and its like. */
export type NodeListener = (...args: ListenerArguments) => void;

/** Options of `createNodeListener`. Every field may be left out. */
export interface NodeListenerOptions {
  /** Called for each request for the values in the contexts of its calls. Default: none. */
  contextValues?: ((request: Exchange["request"]) => ContextValues) | undefined;
  /** Called when the handler has failed. Default: prints the event to standard error. */
  log?: ((event: HandlerFailure) => void) | undefined;
}

/**
 * Makes a request listener of node:http and node:http2, or a middleware, of a handler.
 *
 * A path that the handler does not serve goes to the next middleware, or gets 404 without one. A body parser may run before: the handler gets the parsed bytes, text or JSON again as
 * bytes. If nothing is left, or JSON lost digits of a number, the response is INTERNAL
 * with the reason BODY_ALREADY_READ.
 *
 * Bounds on headers, on the time that a body takes and on connections are the server's own:
 * `requestTimeout`, `headersTimeout`, `maxHeaderSize`. `createServer` has all of them.
 *
 * @example
 * const web = createWebHandler({ routes: (router) => router.service(Operations, service) });
 * express().use(createNodeListener(web.handler)).listen(8080);
 */
export function createNodeListener(
  handler: Handler,
  { contextValues, log = printFailure }: NodeListenerOptions = {},
): NodeListener {
  const send = createSendResponse(undefined);

  const sendError = (exchange: Exchange, error: ConnectError, httpStatus: number) => {
    const { method = "", headers } = exchange.request;
    const request = { method, path: pathOf(exchange), contentType: headers["content-type"] ?? "" };
    return send(exchange, errorResponse(request, error, httpStatus));
  };

  const answer = async (exchange: Exchange, next: Next | undefined): Promise<void> => {
    const { request } = exchange;
    const url = urlOf(exchange);
    if (url === undefined) return sendError(exchange, badTarget(), 400);
    const { origin, "content-type": contentType } = request.headers;
    const headers: Record<string, string | undefined> = { origin, "content-type": contentType };
    if (isCrossSite(request.method, url, (name) => headers[name])) {
      return sendError(exchange, crossSite(origin ?? ""), 403);
    }
    const { head, body } = contentOf(exchange);
    const values = contextValues?.(request);
    const response = await callHandlers([handler], exchange, head, url, body, values);
    if (response !== undefined) return isOver(exchange) ? undefined : send(exchange, response);
    if (next !== undefined) next();
    else await sendError(exchange, notServed(pathOf(exchange)), 404);
  };

  return (...args) => {
    const exchange = exchangeOf(args);
    answer(exchange, args[2])
      .catch(async (cause: unknown) => {
        if (isOver(exchange)) return;
        const { headersSent } = exchange.response;
        const isAnswer = cause instanceof ConnectError && !headersSent;
        if (isAnswer) return sendError(exchange, cause, httpStatusFromCode(cause.code));
        notifySafely(log, (to) => to({ kind: "handler-failed", path: pathOf(exchange), cause }));
        if (!headersSent) return sendError(exchange, internalError(cause), 500);
        cutOff(exchange);
      })
      .catch(() => cutOff(exchange));
  };
}

function exchangeOf(args: ListenerArguments): Exchange {
  if (isHttp2(args)) return { version: 2, request: args[0], response: args[1] };
  return { version: 1, request: args[0], response: args[1] };
}

function isHttp2(
  args: ListenerArguments,
): args is readonly [Http2ServerRequest, Http2ServerResponse, Next?] {
  return args[0] instanceof Http2ServerRequest;
}

/** A request's head and its body, or the result of a body parser. */
interface Content {
  readonly head: NodeHead;
  readonly body: AsyncIterable<Uint8Array> | null;
}

/** @throws ConnectError INTERNAL if the body was read and its bytes cannot be made again. */
function contentOf(exchange: Exchange): Content {
  const { request } = exchange;
  if (!hasBody(exchange)) return { head: request, body: null };
  if (!request.readableDidRead) {
    // If a handler stops reading, the connection stays open for the response.
    const iterable = { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
    return { head: request, body: iterable };
  }
  const bytes = parsedBytes(request);
  // A body parser has decompressed the body, so its headers no longer describe it.
  const { "content-encoding": _, "transfer-encoding": __, ...headers } = request.headers;
  const { method, httpVersion } = request;
  const head = {
    method,
    httpVersion,
    headers: { ...headers, "content-length": String(bytes.byteLength) },
  };
  return { head, body: oneChunk(bytes) };
}

/** The places where body parsers leave the bytes (`rawBody`) or the value (`body`) of a request. */
interface ParsedRequest {
  readonly rawBody?: unknown;
  readonly body?: unknown;
}

function parsedBytes(request: Exchange["request"] & ParsedRequest): Uint8Array {
  const { rawBody, body } = request;
  if (rawBody instanceof Uint8Array) return rawBody;
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return Buffer.from(body);
  const contentType = request.headers["content-type"] ?? "";
  if (body === undefined || !/^application\/([\w.-]+\+)?json\b/i.test(contentType)) {
    throw bodyAlreadyRead("left neither its bytes nor its JSON");
  }
  const text = JSON.stringify(body, (_, value: unknown) => {
    if (typeof value === "number" && !isExact(value)) {
      throw bodyAlreadyRead("cannot have kept all digits of a number in it");
    }
    return value;
  });
  return Buffer.from(text);
}

/** Whether a number is, for sure, the number in the JSON text that it was parsed from. */
function isExact(value: number): boolean {
  if (Number.isInteger(value)) return Number.isSafeInteger(value) && !Object.is(value, -0);
  return Number.isFinite(value);
}
