import type { ContextValues } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { NodeRestRequest, nodeAnswerOf } from "../rest/node-request.js";
import type { RestAnswer, RestRequest } from "../rest/rest-request.js";
import { createDueQueue } from "./due-queue.js";
import {
  cutOff,
  type Exchange,
  type Handler,
  hasBody,
  isOver,
  stopReceivingAfterAnswer,
} from "./exchange.js";
import { readBody } from "./request-body.js";
import { errorFromReset } from "./reset-error.js";
import type { ResolvedLimits } from "./server-limits.js";

/** The REST face of a router; `createRestHandler` of `connect-longrunning/rest` makes one. */
export interface RestFace {
  /** Whether a path, as it stands in the request, is the face's. */
  matches(path: string): boolean;
  /** Answer a request whose path is as raw as it came, and whose body is null where there is none. */
  respond(request: RestRequest): Promise<RestAnswer>;
}

/** Have a REST face answer, under our limits but for that on the body's bytes, which is its own. */
export function createRestFaceHandler(
  face: RestFace,
  limits: ResolvedLimits,
  contextValues: ((request: Exchange["request"]) => ContextValues) | undefined,
): Handler {
  const bounds = { timeoutMs: limits.bodyTimeoutMs, isStreaming: false };
  /** Answers that their clients still have to take. */
  const sending = createDueQueue(limits.sendTimeoutMs, cutOff);

  return async (exchange, url) => {
    const { request, response } = exchange;
    const body = hasBody(exchange) ? readBody(exchange, bounds) : null;
    const asked = new NodeRestRequest(request, url, body, contextValues?.(request));
    response.once("close", () => {
      sending.delete(exchange);
      asked.abort(() => lossOf(exchange));
    });
    const answer = nodeAnswerOf(await face.respond(asked), request.httpVersion);
    if (isOver(exchange)) return;
    stopReceivingAfterAnswer(exchange);
    sending.add(exchange);
    send(exchange, answer);
  };
}

/** Why the signal of a request aborts whose exchange is closed. */
function lossOf({ version, response }: Exchange): ConnectError {
  const reset = version === 2 ? errorFromReset(response.stream.rstCode ?? 0) : undefined;
  return reset ?? new ConnectError("the client went away", Code.Canceled);
}

function send({ version, response }: Exchange, { status, headers, body }: RestAnswer): void {
  // What CORS has set stays beside the face's own: both say what the answer varies by.
  const vary = response.getHeader("vary");
  const both = vary !== undefined && headers.vary !== undefined;
  const sent = both ? { ...headers, vary: `${String(vary)}, ${String(headers.vary)}` } : headers;
  // The compiler knows no method that two types have in common.
  if (version === 1) response.writeHead(status, sent).end(body ?? "");
  else response.writeHead(status, sent).end(body ?? "");
}
