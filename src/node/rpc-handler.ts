import type { DescMethod } from "@bufbuild/protobuf";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { UniversalHandlerFn } from "../direct/connect-protocol.js";
import { defaultReadMaxBytes } from "../web/routes.js";
import { withSendTimeout } from "./answer-guard.js";
import { type Exchange, stopReceivingAfterAnswer } from "./exchange.js";
import type { ReceivedBytes } from "./received-bytes.js";
import { readBody } from "./request-body.js";
import type { ResolvedLimits } from "./server-limits.js";
import type { ServerOptions } from "./server-options.js";

/**
 * Answers the requests of one RPC. Rejects with a ConnectError that must be the response, or with
 * an error that is not for the client.
 */
export type RpcHandler = (exchange: Exchange) => Promise<void>;

/** Calls one of Connect's handlers under the server's limits and sends its response. */
export function createRpcHandler(
  method: DescMethod,
  handler: UniversalHandlerFn,
  { contextValues, readMaxBytes = defaultReadMaxBytes }: ServerOptions,
  limits: ResolvedLimits,
  received: ReceivedBytes,
): RpcHandler {
  const isStreaming = streamsRequests(method);
  const timeoutMs = isStreaming ? limits.pauseTimeoutMs : limits.bodyTimeoutMs;
  const maxKeptBytes = isStreaming ? readMaxBytes : Number.POSITIVE_INFINITY;
  const bounds = { timeoutMs, isStreaming, maxKeptBytes };
  return async (exchange) => {
    const { request, response } = exchange;
    const values = contextValues?.(request);
    const answer = await handler({
      ...universalRequestFromNodeRequest(request, response, undefined, values),
      body: readBody(exchange, bounds, received),
    });
    // A bidirectional stream sends its response while it still receives.
    if (!isStreaming) stopReceivingAfterAnswer(exchange);
    const body = withSendTimeout(exchange, answer.body ?? nothing(), limits.sendTimeoutMs);
    await universalResponseToNodeResponse({ ...answer, body }, response);
  };
}

function streamsRequests({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
