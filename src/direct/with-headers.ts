import type { Transport } from "@connectrpc/connect";

/** Returns a transport that adds headers to each call. */
export function withHeaders(transport: Transport, headers: Headers): Transport {
  const merged = (own: HeadersInit | undefined) => {
    const all = new Headers(own);
    for (const [name, value] of headers) all.set(name, value);
    return all;
  };
  return {
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      transport.unary(method, signal, timeoutMs, merged(header), input, contextValues),
    stream: (method, signal, timeoutMs, header, input, contextValues) =>
      transport.stream(method, signal, timeoutMs, merged(header), input, contextValues),
  };
}
