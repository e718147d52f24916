import { isMessage } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { OperationSchema } from "../protos.js";
import { malformedName } from "./errors.js";

/**
 * Wraps a transport; each call has the routing header of Google's APIs: the name in a request as
 * `x-goog-request-params`, if it has one (AIP-4222). The caller's options are not changed. A response
 * without a name, which some servers send, gets the request's name.
 */
export function withRouting(transport: Transport): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const headers = new Headers(header);
      const name = "name" in input ? String(input.name) : "";
      if (name) headers.set("x-goog-request-params", `name=${encoded(name)}`);
      const response = await transport.unary(
        method,
        signal,
        timeoutMs,
        headers,
        input,
        contextValues,
      );
      const { message } = response;
      if (name && isMessage(message, OperationSchema)) message.name ||= name;
      return response;
    },
    stream: (...call) => transport.stream(...call),
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
