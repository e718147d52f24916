import { Code, ConnectError } from "@connectrpc/connect";
import { httpStatusFromCode } from "../status/http-status.js";
import { answerError } from "./answer-error.js";
import { createCors } from "./cors.js";
import { badTarget, internalError, notServed } from "./errors.js";
import { cutOff, type Exchange, pathOf } from "./exchange.js";
import { createFetchHandler } from "./fetch-handler.js";
import type { Routes } from "./routes.js";
import { createRpcHandler, type Handler } from "./rpc-handler.js";
import type { ServerEvent } from "./server-events.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/** Answer every request that reaches the port. It neither throws nor rejects. */
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
  const answersCors = options.cors === undefined ? () => false : createCors(options.cors);

  /** Who has a request: the one place that decides. */
  const handlerOf = (exchange: Exchange): Handler => rpcHandlers.get(pathOf(exchange)) ?? otherwise;

  return async (exchange) => {
    try {
      if (answersCors(exchange)) return;
      if (!hasUrl(exchange)) answerError(exchange, badTarget(), 400);
      else await handlerOf(exchange)(exchange);
    } catch (cause) {
      const { response } = exchange;
      // The client went away: nobody is left to answer, and nothing is wrong here.
      if (response.closed || ConnectError.from(cause).code === Code.Aborted) return;
      const isOurs = cause instanceof ConnectError && cause.code !== Code.Internal;
      if (!isOurs) log({ kind: "handler-failed", path: pathOf(exchange), cause });
      if (response.headersSent) {
        cutOff(exchange);
      } else {
        const error = isOurs ? cause : internalError(cause);
        answerError(exchange, error, httpStatusFromCode(error.code));
      }
    }
  };
}

async function answerNotServed(exchange: Exchange): Promise<void> {
  answerError(exchange, notServed(pathOf(exchange)), 404);
}

/** Whether target and host make a URL, which every handler is given. */
function hasUrl({ request }: Exchange): boolean {
  const authority = "authority" in request ? request.authority : request.headers.host;
  return authority !== undefined && URL.canParse(request.url ?? "", `http://${authority}`);
}
