import { ConnectError } from "@connectrpc/connect";
import { isPromise } from "../internal/is-promise.js";
import { httpStatusFromCode } from "../status/http-status.js";
import { createCors } from "../web/cors.js";
import { isCrossSite } from "../web/cross-site.js";
import { errorResponse } from "../web/error-response.js";
import { crossSite, internalError, notServed } from "../web/errors.js";
import type { HandlerResponse } from "../web/handler.js";
import type { Routes } from "../web/routes.js";
import { type AllowedHosts, hostOf } from "./allowed-hosts.js";
import { badTarget, hostNotAllowed } from "./errors.js";
import { cutOff, type Exchange, hasBody, isOver, pathOf, urlOf } from "./exchange.js";
import type { ReceivedBytes } from "./received-bytes.js";
import { readBody } from "./request-body.js";
import { createRpcHandler, type RpcHandler } from "./rpc-handler.js";
import { createSendResponse } from "./send-response.js";
import { callHandlers } from "./serve-handlers.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/**
 * Answers a request that reaches the port. Returns undefined if the response is sent by then.
 * Rejects if not even an error could be sent.
 */
export type Dispatch = (exchange: Exchange) => Promise<void> | undefined;

/** Creates the function that gives each request to the RPC or the handler of its path. */
export function createDispatch(
  options: ServerOptions,
  limits: ResolvedLimits,
  routes: Routes,
  received: ReceivedBytes,
  hosts: AllowedHosts,
  log: (event: ServerEvent) => void,
): Dispatch {
  const { contextValues } = options;
  const rpcs = new Map<string, RpcHandler>();
  for (const rpc of routes.rpcs) {
    rpcs.set(
      rpc.requestPath,
      createRpcHandler(rpc.method, routes.answering(rpc), options, limits, received),
    );
  }
  const cors = options.cors && createCors(options.cors);
  const send = createSendResponse(limits.sendTimeoutMs);
  const bodyBounds = {
    timeoutMs: limits.bodyTimeoutMs,
    isStreaming: false,
    maxKeptBytes: Number.POSITIVE_INFINITY,
  };

  const sendError = (exchange: Exchange, error: ConnectError, httpStatus: number) => {
    const { method = "", headers } = exchange.request;
    const request = { method, path: pathOf(exchange), contentType: headers["content-type"] ?? "" };
    return send(exchange, errorResponse(request, error, httpStatus));
  };

  const answer = (exchange: Exchange): Promise<void> | undefined => {
    const { request } = exchange;
    const headerOf = (name: string) => textOf(request.headers[name]);
    const granted = cors?.(request.method, headerOf);
    if (granted !== undefined) {
      for (const [name, value] of Object.entries(granted.headers)) {
        exchange.response.setHeader(name, value);
      }
    }
    const url = urlOf(exchange);
    if (url === undefined) return sendError(exchange, badTarget(), 400);
    const path = pathOf(exchange);
    if (!hosts.allows(url) && !routes.healthPaths.has(path)) {
      return sendError(exchange, hostNotAllowed(hostOf(url)), 403);
    }
    if (granted?.isPreflight) return send(exchange, { status: 204, headers: {} });
    if (granted?.isGranted !== true && isCrossSite(request.method, url, headerOf)) {
      return sendError(exchange, crossSite(headerOf("origin") ?? ""), 403);
    }
    const rpc = rpcs.get(path);
    if (rpc !== undefined) return rpc(exchange);
    const body = hasBody(exchange) ? readBody(exchange, bodyBounds, received) : null;
    const values = contextValues?.(request);
    const called = callHandlers(routes.handlers, exchange, request, url, body, values);
    const respond = (response: HandlerResponse | undefined) => {
      if (isOver(exchange)) return undefined;
      if (response === undefined) return sendError(exchange, notServed(path), 404);
      return send(exchange, response);
    };
    return isPromise(called) ? called.then(respond) : respond(called);
  };

  const recover = async (exchange: Exchange, cause: unknown): Promise<void> => {
    // The client closed the connection, so the server has no error to report.
    if (isOver(exchange)) return;
    const { headersSent } = exchange.response;
    if (cause instanceof ConnectError && !headersSent) {
      await sendError(exchange, cause, httpStatusFromCode(cause.code));
      return;
    }
    log({ kind: "handler-failed", path: pathOf(exchange), cause });
    if (headersSent) cutOff(exchange);
    else await sendError(exchange, internalError(cause), 500);
  };

  return (exchange) => {
    try {
      return answer(exchange)?.catch((cause: unknown) => recover(exchange, cause));
    } catch (cause) {
      return recover(exchange, cause);
    }
  };
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.join(", ");
}
