import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { HandlerRequest, HandlerResponse } from "./handler.js";
import { recordOfHeaders } from "./header-record.js";

/** Responds by one of Connect's handlers, which has one method in all of the router's protocols. */
export async function respondByRpc(
  rpc: UniversalHandler,
  request: HandlerRequest,
): Promise<HandlerResponse> {
  const { httpVersion, method, url, body, signal, contextValues } = request;
  const response = await rpc({
    httpVersion,
    method,
    url,
    header: request.copyHeaders(),
    body: body ?? noChunks,
    signal,
    ...(contextValues && { contextValues }),
  });
  const { status, trailer } = response;
  if (response.body === undefined) {
    return { status, headers: recordOfHeaders(response.header), trailer };
  }
  const chunks = response.body[Symbol.asyncIterator]();
  // A handler that streams may set headers until its first message.
  const first = await chunks.next();
  const remaining = { [Symbol.asyncIterator]: () => resumed(first, chunks) };
  return { status, headers: recordOfHeaders(response.header), body: remaining, trailer };
}

/** The chunks of an iterator whose first result has been read. */
function resumed(
  first: IteratorResult<Uint8Array>,
  chunks: AsyncIterator<Uint8Array>,
): AsyncIterator<Uint8Array> {
  let isFirst = true;
  return {
    async next() {
      if (!isFirst) return chunks.next();
      isFirst = false;
      return first;
    },
    // Connect's handlers learn by `throw` that the client did not take their response.
    async return() {
      await chunks.throw?.(new Error("the client went away")).catch(() => undefined);
      return { done: true, value: undefined };
    },
  };
}

const noChunks: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};
