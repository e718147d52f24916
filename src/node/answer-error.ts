import { createRegistry, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { type ConnectError, encodeBinaryHeader } from "@connectrpc/connect";
import { typeNameFromUrl } from "../internal/type-url.js";
import { file_google_rpc_error_details, StatusSchema } from "../protos.js";
import { codeName } from "../status/code.js";
import { statusFromError } from "../status/status-error.js";
import { answer, type Exchange, pathOf } from "./exchange.js";

/** The types that our own errors have among their details. */
const registry = createRegistry(file_google_rpc_error_details);

/** What a POST to an RPC goes to: /package.Service/Method. */
const rpcPath = /^\/\w+(\.\w+)+\/\w+$/;

/** As requests of gRPC and gRPC-Web have it, with the format or without. */
const grpcContentType = /^application\/grpc(-web)?(-text)?(\+\w+)?$/;

/**
 * Answer with an error of ours, where no handler of a protocol has the request. gRPC and
 * gRPC-Web get a response of trailers only, Connect its JSON, all else the JSON of AIP-193.
 *
 * @param httpStatus for all but gRPC, which always answers 200.
 */
export function answerError(exchange: Exchange, error: ConnectError, httpStatus: number): void {
  const contentType = exchange.request.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc")) {
    answer(exchange, 200, trailersOnly(error, contentType));
    return;
  }
  const isRpc = exchange.request.method === "POST" && rpcPath.test(pathOf(exchange));
  const body = isRpc ? connectJson(error) : envelopeJson(error, httpStatus);
  answer(exchange, httpStatus, { "content-type": "application/json" }, JSON.stringify(body));
}

/** gRPC's "Trailers-Only" (PROTOCOL-HTTP2.md), which gRPC-Web takes as headers too. */
export function trailersOnly(error: ConnectError, contentType: string): Record<string, string> {
  return {
    "content-type": grpcContentType.test(contentType) ? contentType : "application/grpc",
    "grpc-status": String(error.code),
    "grpc-message": encodeURIComponent(error.rawMessage),
    "grpc-status-details-bin": encodeBinaryHeader(toBinary(StatusSchema, statusFromError(error))),
  };
}

/** The error of a unary call in the Connect protocol. */
function connectJson(error: ConnectError): object {
  const { details } = statusFromError(error);
  return {
    code: codeName(error.code).toLowerCase(),
    message: error.rawMessage,
    details: details.map(({ typeUrl, value }) => ({
      type: typeNameFromUrl(typeUrl),
      value: base64Encode(value, "std_raw"),
    })),
  };
}

/** AIP-193, "HTTP/1.1+JSON representation". */
function envelopeJson(error: ConnectError, httpStatus: number): object {
  const status = Object(toJson(StatusSchema, statusFromError(error), { registry }));
  return { error: { ...status, code: httpStatus, status: codeName(error.code) } };
}
