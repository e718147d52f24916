import { ConnectError } from "@connectrpc/connect";
import { httpStatusFromCode } from "../status/http-status.js";
import { createCors } from "../web/cors.js";
import { errorResponse } from "../web/error-response.js";
import { internalError, notServed } from "../web/errors.js";
import type { Routes } from "../web/routes.js";
import { badTarget } from "./errors.js";
import { cutOff, type Exchange, hasBody, isOver, pathOf, urlOf } from "./exchange.js";
import { readBody } from "./request-body.js";
import { createRpcHandler, type RpcHandler } from "./rpc-handler.js";
import { createSendResponse } from "./send-response.js";
import { callHandlers } from "./serve-handlers.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/** Answers a request that reaches the port. */
export type Dispatch = (exchange: Exchange) => Promise<void>;

/** Creates the function that gives each request to the RPC or the handler of its path. */
export function createDispatch(
  options: ServerOptions,
  limits: ResolvedLimits,
  routes: Routes,
  log: (event: ServerEvent) => void,
): Dispatch {
  const { contextValues } = options;
  const rpcs = new Map<string, RpcHandler>();
  for (const rpc of routes.rpcs) {
    rpcs.set(rpc.requestPath, createRpcHandler(rpc, limits, contextValues));
  }
  const cors = options.cors && createCors(options.cors);
  const send = createSendResponse(limits.sendTimeoutMs);
  const bodyBounds = { timeoutMs: limits.bodyTimeoutMs, isStreaming: false };

  const sendError = (exchange: Exchange, error: ConnectError, httpStatus: number) => {
    const { method = "", headers } = exchange.request;
    const request = { method, path: pathOf(exchange), contentType: headers["content-type"] ?? "" };
    return send(exchange, errorResponse(request, error, httpStatus));
  };

  /** Sets the headers of CORS, and returns whether that is all that the request asks for. */
  const answersCors = ({ request, response }: Exchange): boolean => {
    const granted = cors?.(request.method, (name) => textOf(request.headers[name]));
    if (granted === undefined) return false;
    for (const [name, value] of Object.entries(granted.headers)) response.setHeader(name, value);
    return granted.isPreflight;
  };

  const answer = async (exchange: Exchange): Promise<void> => {
    if (answersCors(exchange)) return send(exchange, { status: 204, headers: {} });
    const url = urlOf(exchange);
    if (url === undefined) return sendError(exchange, badTarget(), 400);
    const path = pathOf(exchange);
    const rpc = rpcs.get(path);
    if (rpc !== undefined) return rpc(exchange);
    const body = hasBody(exchange) ? readBody(exchange, bodyBounds) : null;
    const { request } = exchange;
    const values = contextValues?.(request);
    const called = callHandlers(routes.handlers, exchange, request, url, body, values);
    const response = await called.response;
    if (isOver(exchange)) return;
    if (response === undefined) return sendError(exchange, notServed(path), 404);
    return send(exchange, response);
  };

  return async (exchange) => {
    try {
      await answer(exchange);
    } catch (cause) {
      // The client went away: there is no one to answer, and nothing is wrong with the server.
      if (isOver(exchange)) return;
      const { headersSent } = exchange.response;
      if (cause instanceof ConnectError && !headersSent) {
        await sendError(exchange, cause, httpStatusFromCode(cause.code));
        return;
      }
      log({ kind: "handler-failed", path: pathOf(exchange), cause });
      if (headersSent) cutOff(exchange);
      else await sendError(exchange, internalError(cause), 500);
    }
  };
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.join(", ");
}
