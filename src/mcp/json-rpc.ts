import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isJsonObject } from "../json/message-json.js";
import type { ExactJson, ExactJsonObject } from "../json/parse-json.js";

/** The id of a request (JSON-RPC 2.0, section 4; MCP allows no null). */
export type RequestId = string | number;

/** Longest text of an id and of a progress token, in characters: each notification repeats it. */
const maxIdLength = 256;

export interface JsonRpcRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: ExactJsonObject;
}

export interface JsonRpcNotification {
  readonly method: string;
  readonly params: ExactJsonObject;
}

/** A message of a client. `response` is an answer to a request, which this server never sends. */
export type ClientMessage =
  | { readonly kind: "request"; readonly request: JsonRpcRequest }
  | { readonly kind: "notification"; readonly notification: JsonRpcNotification }
  | { readonly kind: "response" };

/** Codes of JSON-RPC 2.0, and those that MCP 2026-07-28 adds (basic/index, Error Codes). */
export const errorCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** A JSON-RPC error, with the HTTP status that carries it. */
export class JsonRpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    /** The status over HTTP. Default: 200, because older clients drop the body of other statuses. */
    readonly httpStatus: number = 200,
    readonly data: JsonValue | undefined = undefined,
    /** Headers of the HTTP response. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** Returns an error as it may be shown to a client: nothing of an unforeseen error is. */
export function rpcErrorOf(error: unknown): JsonRpcError {
  return error instanceof JsonRpcError
    ? error
    : new JsonRpcError(errorCodes.internal, "the server failed", 500);
}

export function invalidParams(message: string, httpStatus?: number): JsonRpcError {
  return new JsonRpcError(errorCodes.invalidParams, message, httpStatus);
}

/** @throws JsonRpcError INVALID_REQUEST for JSON that is not one JSON-RPC 2.0 message. */
export function clientMessageOf(json: ExactJson): ClientMessage {
  if (Array.isArray(json)) throw invalidRequest("batches are not supported");
  if (!isJsonObject(json)) throw invalidRequest("a message is an object");
  const { jsonrpc, id, method, params = {} } = json;
  if (jsonrpc !== "2.0") throw invalidRequest('the member jsonrpc is not "2.0"');
  if (method === undefined && ("result" in json || "error" in json)) return { kind: "response" };
  if (typeof method !== "string") throw invalidRequest("the member method is not a string");
  if (!isJsonObject(params)) throw invalidRequest("the member params is not an object");
  if (id === undefined) return { kind: "notification", notification: { method, params } };
  if (!isRequestId(id)) {
    throw invalidRequest(
      `the member id is neither an integer nor a string of at most ${maxIdLength} characters`,
    );
  }
  return { kind: "request", request: { id, method, params } };
}

/** Whether a value can be the id of a request, and a progress token. */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" ? value.length <= maxIdLength : Number.isSafeInteger(value);
}

function invalidRequest(message: string): JsonRpcError {
  return new JsonRpcError(errorCodes.invalidRequest, message, 400);
}

export function resultResponse(id: RequestId, result: JsonObject): JsonObject {
  return { jsonrpc: "2.0", id, result };
}

export function errorResponse(id: RequestId | undefined, error: JsonRpcError): JsonObject {
  const { code, message, data } = error;
  return {
    jsonrpc: "2.0",
    ...(id === undefined ? {} : { id }),
    error: { code, message, ...(data === undefined ? {} : { data }) },
  };
}
