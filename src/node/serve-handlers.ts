import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import { firstResponse, type Handler, type HandlerResponse } from "../web/handler.js";
import { type Exchange, pathOf } from "./exchange.js";
import { type NodeHead, NodeRequest } from "./node-request.js";
import { errorFromReset } from "./reset-error.js";

/** A request of Node's for which no RPC is found, and its response by a handler. */
export interface HandlerCall {
  readonly request: NodeRequest;
  /** The response; undefined if no handler serves the path. */
  readonly response: Promise<HandlerResponse | undefined>;
}

/**
 * Asks handlers for the response to a request of Node's. The request's signal aborts with
 * `Code.Canceled` when the client goes away.
 *
 * @param head The request's own, or with other headers where its body was replaced.
 */
export function callHandlers(
  handlers: readonly Handler[],
  exchange: Exchange,
  head: NodeHead,
  url: string,
  body: AsyncIterable<Uint8Array> | null,
  contextValues: ContextValues | undefined,
): HandlerCall {
  const request = new NodeRequest(head, url, pathOf(exchange), body, contextValues);
  exchange.response.once("close", () => request.abort(() => lossOf(exchange)));
  return { request, response: firstResponse(handlers, request) };
}

/** Why the signal of a request aborts whose exchange is closed. */
function lossOf({ version, response }: Exchange): ConnectError {
  const reset = version === 2 ? errorFromReset(response.stream.rstCode ?? 0) : undefined;
  return reset ?? new ConnectError("the client went away", Code.Canceled);
}
