import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { Operations } from "../protos.js";

/** The five methods of google.longrunning.Operations at one server. */
export type OperationsRpc = Client<typeof Operations>;

/**
 * The methods, each call with the routing header of Google's APIs: the name in its
 * request as `x-goog-request-params`, where there is one (AIP-4222). The options of the
 * caller are left as they are.
 */
export function createRoutedRpc(transport: Transport): OperationsRpc {
  const rpc = createClient(Operations, transport);
  const routed =
    <Request extends { name?: string }, Response>(
      call: (request: Request, options?: CallOptions) => Promise<Response>,
    ) =>
    (request: Request, options: CallOptions = {}) => {
      const headers = new Headers(options.headers);
      const { name } = request;
      if (name) headers.set("x-goog-request-params", `name=${encodeURIComponent(name)}`);
      return call(request, { ...options, headers });
    };
  return {
    listOperations: routed(rpc.listOperations),
    getOperation: routed(rpc.getOperation),
    deleteOperation: routed(rpc.deleteOperation),
    cancelOperation: routed(rpc.cancelOperation),
    waitOperation: routed(rpc.waitOperation),
  };
}
