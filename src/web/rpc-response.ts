import type { UniversalHandlerFn } from "../direct/connect-protocol.js";
import type { HandlerRequest, HandlerResponse } from "./handler.js";
import { recordOfHeaders } from "./header-record.js";
import { resumed } from "./malformed-requests.js";

/** Responds by one of Connect's handlers, which has one method in all of the router's protocols. */
export async function respondByRpc(
  rpc: UniversalHandlerFn,
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
  const remaining = resumed(first, {
    next: () => chunks.next(),
    // Connect's handlers use `throw` to detect that the client did not read the response.
    async return() {
      await chunks.throw?.(new Error("the client went away")).catch(() => undefined);
      return { done: true, value: undefined };
    },
  });
  return { status, headers: recordOfHeaders(response.header), body: remaining, trailer };
}

const noChunks: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
};
