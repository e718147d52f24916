import { ConnectError } from "@connectrpc/connect";
import { httpStatusFromCode } from "../status/http-status.js";
import { answerError } from "./answer-error.js";
import { createCors } from "./cors.js";
import { badTarget, internalError, notServed } from "./errors.js";
import { cutOff, type Exchange, type Handler, isOver, pathOf, urlOf } from "./exchange.js";
import { createFetchHandler } from "./fetch-handler.js";
import { createRestFaceHandler } from "./rest-face-handler.js";
import type { Routes } from "./routes.js";
import { createRpcHandler } from "./rpc-handler.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/** Answer every request that reaches the port. */
export type Dispatch = (exchange: Exchange) => Promise<void>;

/** Make the function that hands each request to who answers it. */
export function createDispatch(
  options: ServerOptions,
  limits: ResolvedLimits,
  routes: Routes,
  log: (event: ServerEvent) => void,
): Dispatch {
  const rpcHandlers = new Map<string, Handler>();
  for (const handler of routes.handlers) {
    rpcHandlers.set(handler.requestPath, createRpcHandler(handler, limits, options.contextValues));
  }
  const otherwise =
    options.fetch === undefined
      ? answerNotServed
      : createFetchHandler(options.fetch, limits, routes.readMaxBytes);
  const { rest } = routes;
  const restHandler = rest && createRestFaceHandler(rest, limits, options.contextValues);
  const answersCors = options.cors === undefined ? () => false : createCors(options.cors);

  /** Who has a request: the one place that decides. */
  const handlerOf = (exchange: Exchange): Handler => {
    const path = pathOf(exchange);
    const rpcHandler = rpcHandlers.get(path);
    if (rpcHandler !== undefined) return rpcHandler;
    return restHandler !== undefined && rest?.matches(path) ? restHandler : otherwise;
  };

  return async (exchange) => {
    try {
      if (answersCors(exchange)) return;
      const url = urlOf(exchange);
      if (url === undefined) answerError(exchange, badTarget(), 400);
      else await handlerOf(exchange)(exchange, url);
    } catch (cause) {
      // The client went away: nobody is left to answer, and nothing is wrong here.
      if (isOver(exchange)) return;
      const isAnswer = cause instanceof ConnectError && !exchange.response.headersSent;
      if (isAnswer) {
        answerError(exchange, cause, httpStatusFromCode(cause.code));
        return;
      }
      log({ kind: "handler-failed", path: pathOf(exchange), cause });
      if (exchange.response.headersSent) cutOff(exchange);
      else answerError(exchange, internalError(cause), 500);
    }
  };
}

async function answerNotServed(exchange: Exchange): Promise<void> {
  answerError(exchange, notServed(pathOf(exchange)), 404);
}
