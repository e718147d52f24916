import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { Operations } from "../protos.js";
import { malformedName } from "./errors.js";

/** The five methods of google.longrunning.Operations at one server. */
export type OperationsRpc = Client<typeof Operations>;

/**
 * Returns the methods with the routing header of Google's APIs: the name in a request as
 * `x-goog-request-params`, if it has one (AIP-4222). The caller's options are not changed. A response
 * without a name, which some servers send, gets the request's name.
 */
export function createRoutedRpc(transport: Transport): OperationsRpc {
  const rpc = createClient(Operations, transport);
  const routed =
    <Request extends { name?: string }, Response>(
      call: (request: Request, options?: CallOptions) => Promise<Response>,
    ) =>
    async (request: Request, options: CallOptions = {}) => {
      const headers = new Headers(options.headers);
      const { name } = request;
      if (name) headers.set("x-goog-request-params", `name=${encoded(name)}`);
      return call(request, { ...options, headers });
    };
  const named =
    <Request extends { name?: string }, Response extends { name: string }>(
      call: (request: Request, options?: CallOptions) => Promise<Response>,
    ) =>
    async (request: Request, options?: CallOptions) => {
      const response = await call(request, options);
      response.name ||= request.name ?? "";
      return response;
    };
  return {
    listOperations: routed(rpc.listOperations),
    getOperation: named(routed(rpc.getOperation)),
    deleteOperation: routed(rpc.deleteOperation),
    cancelOperation: routed(rpc.cancelOperation),
    waitOperation: named(routed(rpc.waitOperation)),
  };
}

/** @throws ConnectError INVALID_ARGUMENT if the name has a lone surrogate, which UTF-8 cannot encode. */
function encoded(name: string): string {
  try {
    return encodeURIComponent(name);
  } catch {
    throw malformedName();
  }
}
