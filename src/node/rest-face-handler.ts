import type { ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { type Exchange, type Handler, hasBody } from "./exchange.js";
import { readBody } from "./request-body.js";
import { sendAnswer } from "./send-answer.js";
import type { ResolvedLimits } from "./server-limits.js";

/** The REST face of a router; `createRestHandler` of `connect-longrunning/rest` makes one. */
export interface RestFace {
  /** Whether a path, as it stands in the request, is the face's. */
  matches(path: string): boolean;
  /** Answer a request whose path is as raw as it came, and whose body is null where there is none. */
  handle(request: UniversalServerRequest): Promise<UniversalServerResponse>;
}

/** Have a REST face answer, under our limits but for that on the body's bytes, which is its own. */
export function createRestFaceHandler(
  face: RestFace,
  limits: ResolvedLimits,
  contextValues: ((request: Exchange["request"]) => ContextValues) | undefined,
): Handler {
  return async (exchange, url) => {
    const { request, response } = exchange;
    const values = contextValues?.(request);
    const bounds = { timeoutMs: limits.bodyTimeoutMs, isStreaming: false };
    const answer = await face.handle({
      ...universalRequestFromNodeRequest(request, response, undefined, values),
      url,
      body: hasBody(exchange) ? readBody(exchange, bounds) : null,
    });
    const { status, header = new Headers(), body } = answer;
    await sendAnswer(exchange, { status, header, body }, limits.sendTimeoutMs);
  };
}
