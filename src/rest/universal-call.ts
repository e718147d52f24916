import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  errorFromJsonBytes,
  readAllBytes,
  type UniversalHandler,
} from "../direct/connect-protocol.js";
import { oneChunk } from "../internal/one-chunk.js";
import {
  type CallAnswer,
  callHeadersOf,
  callUrlOf,
  deleteHopHeaders,
  type MethodCall,
} from "./method-call.js";

/**
 * Calls an RPC of a Connect router in this process, through the same handler that serves its other
 * protocols. So interceptors, limits, the deadline, the signal and context values apply. The call
 * uses Connect's unary protocol, in binary.
 *
 * @param message In binary.
 * @throws ConnectError of the call, with the headers of its answer as metadata.
 */
export async function callUniversal(
  handler: UniversalHandler,
  message: Uint8Array,
  call: MethodCall,
): Promise<CallAnswer> {
  const { httpVersion, signal, contextValues } = call.request;
  const answer = await handler({
    httpVersion,
    method: "POST",
    url: callUrlOf(call, handler.requestPath),
    header: callHeadersOf(call),
    body: oneChunk(message),
    signal,
    contextValues,
  });
  const header = answer.header ?? new Headers();
  const bytes = await readAllBytes(
    answer.body ?? oneChunk(nothing),
    Number.POSITIVE_INFINITY,
    header.get("Content-Length"),
  );
  deleteHopHeaders(header);
  if (answer.status === 200) {
    return { bytes, header, message: () => fromBinary(handler.method.output, bytes) };
  }
  const fallback = new ConnectError(`the handler answered ${answer.status}`, Code.Internal);
  throw errorFromJsonBytes(bytes, header, fallback);
}

const nothing = new Uint8Array();
