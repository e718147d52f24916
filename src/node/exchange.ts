import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { resetOnceAnswered } from "../internal/reset-once-answered.js";

/** One HTTP request and its response, over any version of HTTP. */
export type Exchange =
  | {
      readonly version: 1;
      readonly request: IncomingMessage;
      readonly response: ServerResponse;
    }
  | {
      readonly version: 2;
      readonly request: Http2ServerRequest;
      readonly response: Http2ServerResponse;
    };

/** Returns the path of the request without its query. */
export function pathOf(exchange: Exchange): string {
  const target = pathAndQueryOf(exchange);
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/**
 * Returns the URL of the request, or undefined if target and host do not form a URL. A target that
 * begins with two slashes is a path, though a URL would parse it as a host. If the target contains
 * a host, that host overrides the Host header (RFC 9112, section 3.2.2).
 */
export function urlOf(exchange: Exchange): string | undefined {
  const { request } = exchange;
  if (exchange.version === 1 && hasTwoHosts(exchange.request)) return undefined;
  const { url: target = "" } = request;
  if (hostInTarget(exchange) !== undefined) return URL.canParse(target) ? target : undefined;
  const authority = "authority" in request ? request.authority : hostHeaderOf(request);
  if (authority === undefined || !isAuthority.test(authority)) return undefined;
  if (!target.startsWith("/")) return undefined;
  const scheme = "encrypted" in request.socket ? "https" : "http";
  const url = `${scheme}://${authority}${target}`;
  // Any path can be parsed, so the authority decides. The requests of one client mostly share it.
  if (authority === lastAuthority) return url;
  if (!URL.canParse(url)) return undefined;
  lastAuthority = authority;
  return url;
}

/** The last authority that was a part of a URL. */
let lastAuthority: string | undefined;

/** Returns the Host field. HTTP/1.0 does not require it, and load balancers' health checks omit it. */
function hostHeaderOf({ headers, httpVersion }: IncomingMessage): string | undefined {
  return headers.host ?? (httpVersion === "1.0" ? "localhost" : undefined);
}

/** Node keeps the first one; a proxy before it may have gone by the last (RFC 9112, section 3.2). */
function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (name.length === 4 && name.toLowerCase() === "host") hosts += 1;
  }
  return hosts > 1;
}

/** Anything else in a Host field would end the host, and so begin another path than the target's. */
const isAuthority = /^[^/?#\\@\s]+$/;

function pathAndQueryOf(exchange: Exchange): string {
  const { url: target = "/" } = exchange.request;
  const host = hostInTarget(exchange);
  if (host === undefined) return target;
  const path = target.slice(host.length);
  return path.startsWith("/") ? path : `/${path}`;
}

/** `http://host` of a target in the absolute form, which proxies send over HTTP/1. */
function hostInTarget({ version, request }: Exchange): string | undefined {
  const { url: target = "/" } = request;
  if (version !== 1 || target.startsWith("/")) return undefined;
  return /^https?:\/\/[^/?#]+/i.exec(target)?.[0];
}

/** Whether the exchange is over: nothing more can be sent. */
export function isOver(exchange: Exchange): boolean {
  if (exchange.version === 1) return exchange.response.closed || exchange.request.socket.destroyed;
  const { stream } = exchange.response;
  return stream.closed || stream.destroyed;
}

/** Whether an exchange that is over ended before its answer was whole. */
export function wasCutOff(exchange: Exchange): boolean {
  if (exchange.version === 1) return !exchange.response.writableFinished;
  const { aborted, rstCode } = exchange.response.stream;
  return aborted || rstCode !== constants.NGHTTP2_NO_ERROR;
}

/** Cuts the exchange off. HTTP/1.1 loses its connection, HTTP/2 only this stream. */
export function cutOff(exchange: Exchange): void {
  if (exchange.version === 1) exchange.request.socket.destroy();
  else exchange.response.stream.close(constants.NGHTTP2_CANCEL);
}

/**
 * Makes the response end the exchange even if the client is still sending. Otherwise a body that no
 * handler reads would keep a connection busy. Call it before the response is sent.
 */
export function stopReceivingAfterAnswer(exchange: Exchange): void {
  const { request } = exchange;
  if (!isReceiving(exchange)) return;
  if (exchange.version === 1) exchange.response.shouldKeepAlive = false;
  else resetOnceAnswered(request, exchange.response.stream);
}

/** Whether a part of the request's body has not arrived. */
export function isReceiving(exchange: Exchange): boolean {
  return !exchange.request.complete && hasBody(exchange);
}

/** Most bytes of an unread HTTP/1.1 body that are dropped before its connection is closed. */
const maxDroppedBytes = 32 * 1024 * 1024;

/** Longest time that dropping them takes, in milliseconds. */
const maxDroppingMs = 10_000;

/** Longest time to wait for the next of them, in milliseconds. */
const maxDropIdleMs = 1000;

/**
 * Reads and drops the rest of an HTTP/1.1 body. Closing a connection with unread bytes resets it,
 * and then a client that has not read the response loses it.
 *
 * Resolves when the body has ended, the client has disconnected, 32 MiB were dropped, no byte came
 * for a second, or ten seconds are over.
 */
export function dropBody(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let dropped = 0;
    const endMs = performance.now() + maxDroppingMs;
    const drop = () => {
      timer.refresh();
      for (let chunk = request.read(); chunk !== null; chunk = request.read()) {
        dropped += chunk.length;
      }
      if (dropped > maxDroppedBytes || performance.now() > endMs) finish();
    };
    const finish = () => {
      clearTimeout(timer);
      request.off("readable", drop).off("end", finish).off("close", finish).off("error", finish);
      resolve();
    };
    const timer = setTimeout(finish, maxDropIdleMs);
    // Another reader may have stopped reading in the middle. Then the stream does not flow by
    // itself.
    request.on("readable", drop).once("end", finish).once("close", finish).once("error", finish);
    drop();
  });
}

/** Whether the request announced a body; for HTTP/2, whether its headers did not end it. */
export function hasBody(exchange: Exchange): boolean {
  if (exchange.version === 2) return !exchange.request.stream.endAfterHeaders;
  const { headers } = exchange.request;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
