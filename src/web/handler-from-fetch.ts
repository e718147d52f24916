import { atLeastOne } from "../internal/option-bounds.js";
import { streamChunks } from "../internal/stream-chunks.js";
import { errorResponse } from "./error-response.js";
import { requestTooLarge } from "./errors.js";
import type { Handler, HandlerRequest } from "./handler.js";
import { recordOfHeaders } from "./header-record.js";
import { readableFrom } from "./readable-from.js";

/** Methods that the web's Request refuses (Fetch standard, "forbidden method"). */
const forbiddenMethods = new Set(["CONNECT", "TRACE", "TRACK"]);

/** Options of `handlerFromFetch`. */
export interface FetchHandlerOptions {
  /** Largest body of a request, in bytes, at least 1; 413 above. Default: 4,194,304. */
  readMaxBytes?: number | undefined;
}

/**
 * Makes a handler of a function that takes the web's `Request`, such as a Hono app's `fetch`.
 *
 * The function may return undefined for a path that it does not serve. The request's signal aborts
 * when the client disconnects. Dots in the path are resolved, as every `Request` does.
 *
 * @throws RangeError if `readMaxBytes` is less than 1.
 */
export function handlerFromFetch(
  fetch: (request: Request) => Response | undefined | Promise<Response | undefined>,
  options: FetchHandlerOptions = {},
): Handler {
  const readMaxBytes = atLeastOne("readMaxBytes", options.readMaxBytes ?? 4 * 1024 * 1024);
  return async (request) => {
    const { method, path } = request;
    if (forbiddenMethods.has(method)) return { status: 405, headers: {} };
    if (Number(request.headerOf("content-length") ?? 0) > readMaxBytes) {
      const contentType = request.headerOf("content-type") ?? "";
      return errorResponse({ method, path, contentType }, requestTooLarge(readMaxBytes), 413);
    }
    const response = await fetch(webRequest(request, readMaxBytes));
    if (response === undefined) return undefined;
    const { status, headers, body } = response;
    return {
      status,
      headers: recordOfHeaders(headers),
      body: body === null ? undefined : streamChunks(body),
    };
  };
}

function webRequest(request: HandlerRequest, maxBytes: number): Request {
  const { method, url, signal, body } = request;
  const init = { method, headers: request.copyHeaders(), signal };
  if (body === null || method === "GET" || method === "HEAD") return new Request(url, init);
  const streaming = { ...init, body: readableFrom(atMost(body, maxBytes)), duplex: "half" };
  return new Request(url, streaming);
}

/** The chunks of a body, which ends with RESOURCE_EXHAUSTED beyond `maxBytes` bytes. */
async function* atMost(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw requestTooLarge(maxBytes);
    yield chunk;
  }
}
