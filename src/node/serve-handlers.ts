import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import type { MaybePromise } from "../internal/is-promise.js";
import { firstResponse, type Handler, type HandlerResponse } from "../web/handler.js";
import { type Exchange, isOver, pathOf } from "./exchange.js";
import { type NodeHead, NodeRequest } from "./node-request.js";
import { errorFromReset } from "./reset-error.js";

/**
 * Asks handlers for the response to a Node request. Returns undefined if no handler serves the
 * path. The request's signal aborts with `Code.Canceled` when the client disconnects.
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
): MaybePromise<HandlerResponse | undefined> {
  const request = new NodeRequest(head, url, pathOf(exchange), body, contextValues, (abort) => {
    if (isOver(exchange)) abort(lossOf(exchange));
    else exchange.response.once("close", () => abort(lossOf(exchange)));
  });
  return firstResponse(handlers, request);
}

/** Why the signal of a request aborts whose exchange is closed. */
function lossOf({ version, response }: Exchange): ConnectError {
  const reset = version === 2 ? errorFromReset(response.stream.rstCode ?? 0) : undefined;
  return reset ?? new ConnectError("the client went away", Code.Canceled);
}
