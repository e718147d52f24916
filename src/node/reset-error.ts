import { constants } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

/** The error of a call whose stream is reset (gRPC's PROTOCOL-HTTP2.md, "Errors"). */
const codeOfReset = new Map<number, { readonly name: string; readonly code: Code }>([
  [constants.NGHTTP2_PROTOCOL_ERROR, { name: "PROTOCOL_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_INTERNAL_ERROR, { name: "INTERNAL_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, { name: "FLOW_CONTROL_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_SETTINGS_TIMEOUT, { name: "SETTINGS_TIMEOUT", code: Code.Internal }],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, { name: "FRAME_SIZE_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_COMPRESSION_ERROR, { name: "COMPRESSION_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_CONNECT_ERROR, { name: "CONNECT_ERROR", code: Code.Internal }],
  [constants.NGHTTP2_REFUSED_STREAM, { name: "REFUSED_STREAM", code: Code.Unavailable }],
  [constants.NGHTTP2_CANCEL, { name: "CANCEL", code: Code.Canceled }],
  [
    constants.NGHTTP2_ENHANCE_YOUR_CALM,
    { name: "ENHANCE_YOUR_CALM", code: Code.ResourceExhausted },
  ],
  [
    constants.NGHTTP2_INADEQUATE_SECURITY,
    { name: "INADEQUATE_SECURITY", code: Code.PermissionDenied },
  ],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, { name: "HTTP_1_1_REQUIRED", code: Code.PermissionDenied }],
]);

/**
 * Returns the error of a call whose stream the other side has reset, in Connect's words; undefined
 * for codes that are not an error of the call.
 */
export function errorFromReset(rstCode: number): ConnectError | undefined {
  const reset = codeOfReset.get(rstCode);
  if (reset === undefined) return undefined;
  const message = `http/2 stream closed with error code ${reset.name} (0x${rstCode.toString(16)})`;
  return new ConnectError(message, reset.code);
}
