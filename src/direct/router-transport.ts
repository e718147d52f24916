import type { ConnectRouter, ContextValues, Transport } from "@connectrpc/connect";
import { createConnectTransport, createUniversalHandlerClient } from "./connect-protocol.js";

/**
 * Makes a transport to the handlers of a router in this process. Calls pass through the router's
 * interceptors, limits and deadlines, as calls over a network do.
 *
 * @param contextValues Values for the contexts of the calls.
 */
export function createRouterTransport(
  handlers: ConnectRouter["handlers"],
  contextValues: ContextValues | undefined,
): Transport {
  const withValues =
    contextValues === undefined
      ? handlers
      : handlers.map((handler) =>
          Object.assign(
            (request: Parameters<typeof handler>[0]) => handler({ ...request, contextValues }),
            handler,
          ),
        );
  return createConnectTransport({
    httpClient: createUniversalHandlerClient(withValues),
    baseUrl: "https://in-memory",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: Number.MAX_SAFE_INTEGER,
    writeMaxBytes: Number.MAX_SAFE_INTEGER,
  });
}
