import type { DescMessage } from "@bufbuild/protobuf";
import { type ContextKey, createContextValues, type Transport } from "@connectrpc/connect";

/**
 * The types that a caller expects in the Anys of a response. A transport that reads JSON needs them,
 * because the JSON of an Any cannot be read without its type.
 */
export const responseTypes: ContextKey<readonly DescMessage[]> = {
  id: Symbol("the types of the response's Anys"),
  defaultValue: [],
};

/** Wraps a transport; each unary call passes the expected types in its context values. */
export function withResponseTypes(transport: Transport, types: readonly DescMessage[]): Transport {
  return {
    unary(method, signal, timeoutMs, header, input, contextValues = createContextValues()) {
      contextValues.set(responseTypes, types);
      return transport.unary(method, signal, timeoutMs, header, input, contextValues);
    },
    stream: (...call) => transport.stream(...call),
  };
}
