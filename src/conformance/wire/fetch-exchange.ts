import { concatBytes } from "../../internal/concat-bytes.js";
import { streamChunks } from "../../internal/stream-chunks.js";
import { maxBodyBytes, type RawExchange } from "./raw-exchange.js";

/** Returns an exchange over `fetch`, for the protocols that need no trailers. */
export function createFetchExchange(fetch: typeof globalThis.fetch): RawExchange {
  return async ({ method, url, headers, body, signal }) => {
    const response = await fetch(url, {
      method,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
      ...(body !== undefined && { body: new Uint8Array(body) }),
      signal,
      redirect: "manual",
    });
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body === null ? [] : streamChunks(response.body)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBodyBytes) throw new Error(`the body exceeds ${maxBodyBytes} bytes`);
    }
    return {
      status: response.status,
      headers: response.headers,
      trailers: new Headers(),
      body: concatBytes(chunks),
    };
  };
}
