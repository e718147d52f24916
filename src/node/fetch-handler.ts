import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { answerError } from "./answer-error.js";
import { notServed, requestTooLarge } from "./errors.js";
import { answer, type Exchange, type Handler, pathOf } from "./exchange.js";
import { readBody } from "./request-body.js";
import { sendAnswer } from "./send-answer.js";
import type { ResolvedLimits } from "./server-limits.js";

/**
 * Answers a request of the web, or says by `undefined` that it serves nothing at its path.
 * The request's signal aborts when the client goes away. A ConnectError that it throws
 * is the client's answer, anything else INTERNAL.
 */
export type FetchHandler = (
  request: Request,
) => Response | undefined | Promise<Response | undefined>;

/** Methods that the web's Request refuses (Fetch standard, "forbidden method"). */
const forbiddenMethods = new Set(["CONNECT", "TRACE", "TRACK"]);

/**
 * Have a handler of the web's kind answer, under our limits. A body of more than `maxBytes`
 * bytes is refused with 413, or breaks off where its length was not announced.
 */
export function createFetchHandler(
  fetch: FetchHandler,
  limits: ResolvedLimits,
  maxBytes: number,
): Handler {
  return async (exchange, url) => {
    const { method = "GET", headers } = exchange.request;
    if (forbiddenMethods.has(method)) {
      answer(exchange, 405, {});
      return;
    }
    if (Number(headers["content-length"] ?? 0) > maxBytes) {
      answerError(exchange, requestTooLarge(maxBytes), 413);
      return;
    }
    const response = await fetch(webRequest(exchange, url, limits.bodyTimeoutMs, maxBytes));
    if (response === undefined) answerError(exchange, notServed(pathOf(exchange)), 404);
    else {
      const { status, headers: header, body } = response;
      await sendAnswer(exchange, { status, header, body: body ?? undefined }, limits.sendTimeoutMs);
    }
  };
}

function webRequest(exchange: Exchange, url: string, timeoutMs: number, maxBytes: number): Request {
  const { request, response } = exchange;
  const { method, header, signal } = universalRequestFromNodeRequest(
    request,
    response,
    undefined,
    undefined,
  );
  const init = { method, headers: header, signal };
  if (method === "GET" || method === "HEAD") return new Request(url, init);
  const bytes = readBody(exchange, { timeoutMs, isStreaming: false, maxBytes });
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    type: "bytes",
    async pull(controller) {
      const { done, value } = await bytes.next();
      if (done) controller.close();
      // A copy: a stream of bytes takes the buffer away, which Node shares among chunks.
      else controller.enqueue(new Uint8Array(value));
    },
    async cancel() {
      await bytes.return?.();
    },
  });
  const streaming = { ...init, body, duplex: "half" };
  return new Request(url, streaming);
}
