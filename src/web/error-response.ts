import { createRegistry, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { ConnectError, encodeBinaryHeader } from "@connectrpc/connect";
import { notifySafely } from "../internal/notify-safely.js";
import { typeNameFromUrl } from "../internal/type-url.js";
import { file_google_rpc_error_details, StatusSchema } from "../protos.js";
import { codeName } from "../status/code.js";
import { httpStatusFromCode } from "../status/http-status.js";
import { statusFromError } from "../status/status-error.js";
import { internalError } from "./errors.js";
import type { HandlerFailure, HandlerRequest, HandlerResponse } from "./handler.js";

/** The parts of a request that decide on the form of an error. */
export interface ErroneousRequest {
  readonly method: string;
  readonly path: string;
  /** "" if the request has no content type. */
  readonly contentType: string;
}

/** The types that our own errors have among their details. */
const registry = createRegistry(file_google_rpc_error_details);

/** The path of an RPC: /package.Service/Method. */
const rpcPath = /^\/\w+(\.\w+)+\/\w+$/;

/** The content types of gRPC and gRPC-Web, with a format or without. */
const grpcContentType = /^application\/grpc(-web)?(-text)?(\+\w+)?$/;

/**
 * Makes the response of an error for a request that no protocol handler serves. gRPC and gRPC-Web
 * get a response of trailers only, Connect its JSON, and any other request the JSON of AIP-193.
 *
 * @param httpStatus The status for all but gRPC and gRPC-Web, which always have 200.
 */
export function errorResponse(
  { method, path, contentType }: ErroneousRequest,
  error: ConnectError,
  httpStatus: number,
): HandlerResponse {
  if (contentType.startsWith("application/grpc")) {
    return { status: 200, headers: trailersOnly(error, contentType) };
  }
  const isRpc = method === "POST" && rpcPath.test(path);
  const json = isRpc ? connectJson(error) : envelopeJson(error, httpStatus);
  const headers = { "content-type": "application/json" };
  return { status: httpStatus, headers, body: JSON.stringify(json) };
}

/** Makes the response of an error to a request that no handler serves. */
export function refusal(
  request: HandlerRequest,
  error: ConnectError,
  httpStatus: number,
): HandlerResponse {
  const { method, path } = request;
  const contentType = request.headerOf("content-type") ?? "";
  return errorResponse({ method, path, contentType }, error, httpStatus);
}

/** Makes the response for a handler's rejection: its ConnectError, or INTERNAL after a log line. */
export function failureResponse(
  request: HandlerRequest,
  cause: unknown,
  log: (event: HandlerFailure) => void,
): HandlerResponse {
  if (cause instanceof ConnectError) return refusal(request, cause, httpStatusFromCode(cause.code));
  notifySafely(log, (to) => to({ kind: "handler-failed", path: request.path, cause }));
  return refusal(request, internalError(cause), 500);
}

/** Prints a failure by `console.error`. It is the default of `log`. */
export function printFailure(event: HandlerFailure): void {
  console.error("connect-longrunning:", event);
}

/**
 * Returns gRPC's "Trailers-Only" response (PROTOCOL-HTTP2.md). gRPC-Web reads it from headers too.
 */
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
