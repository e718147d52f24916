import {
  create,
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { type Any, EmptySchema, file_google_protobuf_duration } from "@bufbuild/protobuf/wkt";
import {
  Driver,
  ProbeRequestSchema,
  ProbeResponseSchema,
  StartRequestSchema,
} from "../../../src/conformance/driver.js";
import { frameBytes, framesOf } from "../../../src/conformance/wire/envelopes.js";
import type { RawRequest, RawResponse } from "../../../src/conformance/wire/raw-exchange.js";
import {
  file_google_rpc_error_details,
  file_google_rpc_status,
  ListOperationsResponseSchema,
  type Operation,
  OperationSchema,
  Operations,
  type Status,
  StatusSchema,
} from "../../../src/protos.js";
import {
  type Call,
  createModel,
  type ModelOptions,
  type OperationsModel,
} from "./operations-model.js";
import { codes, RpcError, rpcError } from "./rpc-error.js";

const registry = createRegistry(
  Driver.file,
  Operations.file,
  file_google_protobuf_duration,
  file_google_rpc_error_details,
  file_google_rpc_status,
);

/** Changes to a correct answer that are lawful, and that a client must not stumble over. */
export interface Oddity {
  /** Called with each Operation before it is encoded. */
  readonly operation?: (operation: Operation) => void;
  /** Bytes of each binary Operation. */
  readonly bytes?: (bytes: Uint8Array) => Uint8Array;
  readonly call?: (method: string) => Promise<void>;
}

export interface TestServerOptions extends Partial<ModelOptions> {
  readonly oddity?: Oddity;
  /** Replaces methods of the model. */
  readonly variant?: (model: OperationsModel) => Partial<OperationsModel>;
}

type Body = { readonly desc: DescMessage; readonly message: Message };
type Protocol = "grpc" | "grpc-web" | "connect" | "connect-json" | "rest";

const utf8 = new TextEncoder();

/** A server in this process that speaks all five protocols, with one mutant at most. */
export function createTestServer(options: TestServerOptions = {}) {
  const { mutant = 0, unitMs = 1000, hidesForeign = false, oddity = {} } = options;
  const is = (...numbers: readonly number[]) => numbers.includes(mutant);
  const base = createModel({ mutant, unitMs, hidesForeign });
  const model: OperationsModel = { ...base, ...options.variant?.(base) };

  // Methods, apart from their encoding.

  const dispatch = async (method: string, request: Message, call: Call): Promise<Body> => {
    await oddity.call?.(method);
    const operation = (message: Operation) => {
      oddity.operation?.(message);
      return { desc: OperationSchema, message };
    };
    const empty = { desc: EmptySchema, message: create(EmptySchema) };
    switch (method) {
      case "GetOperation":
        return operation(
          await model.get(as(Operations.method.getOperation.input, request).name, call),
        );
      case "WaitOperation": {
        const { name, timeout } = as(Operations.method.waitOperation.input, request);
        return operation(await model.wait(name, timeout, call));
      }
      case "CancelOperation":
        await model.cancel(as(Operations.method.cancelOperation.input, request).name, call);
        return empty;
      case "DeleteOperation":
        await model.delete(as(Operations.method.deleteOperation.input, request).name, call);
        return empty;
      case "ListOperations": {
        const page = await model.list(as(Operations.method.listOperations.input, request), call);
        for (const one of page.operations) oddity.operation?.(one);
        return {
          desc: ListOperationsResponseSchema,
          message: create(ListOperationsResponseSchema, page),
        };
      }
      case "Start":
        return operation(await model.start(as(StartRequestSchema, request), call));
      case "Probe": {
        const { name } = as(ProbeRequestSchema, request);
        return {
          desc: ProbeResponseSchema,
          message: create(ProbeResponseSchema, model.probe(name)),
        };
      }
      default:
        throw rpcError("UNIMPLEMENTED", "NO_METHOD", "there is no such method");
    }
  };

  const inputOf = (path: string): { method: string; input: DescMessage } => {
    const [, service = "", name = ""] = path.split("/");
    const found = [Operations, Driver].find(({ typeName }) => typeName === service);
    const method = found?.methods.find((one) => one.name === name);
    if (method === undefined)
      throw rpcError("UNIMPLEMENTED", "NO_METHOD", "there is no such method");
    return { method: method.name, input: method.input };
  };

  const callOf = (request: RawRequest): Call => {
    const headers = new Headers(
      request.headers.map(([name, value]): [string, string] => [name, value]),
    );
    const credentials = headers.get("authorization");
    const grpc = /^(\d+)m$/.exec(headers.get("grpc-timeout") ?? "")?.[1];
    const connect = headers.get("connect-timeout-ms") ?? undefined;
    const deadline = grpc ?? connect;
    return {
      caller:
        credentials === "Bearer owner"
          ? "owner"
          : credentials === "Bearer stranger"
            ? "stranger"
            : undefined,
      deadlineMs: deadline === undefined ? undefined : Number(deadline),
      signal: request.signal,
    };
  };

  // Encodings.

  const binaryOf = ({ desc, message }: Body, protocol: Protocol): Uint8Array => {
    if (!isOperation(message)) {
      const bytes = toBinary(desc, message);
      return bytes;
    }
    const shown = is(109) && protocol === "connect" ? { ...message, metadata: undefined } : message;
    const bytes = toBinary(OperationSchema, shown);
    if (is(2) && message.done) return joined(bytes, bothResults);
    return oddity.bytes?.(bytes) ?? bytes;
  };
  const bothResults = toBinary(
    OperationSchema,
    create(OperationSchema, {
      result: { case: "error", value: create(StatusSchema, { code: 2, message: "both" }) },
    }),
  );

  const jsonOf = ({ desc, message }: Body): JsonValue => {
    if (isOperation(message)) return operationJson(message);
    if (desc.typeName === ListOperationsResponseSchema.typeName) {
      const page = as(ListOperationsResponseSchema, message);
      return {
        operations: page.operations.map(operationJson),
        ...(page.nextPageToken !== "" && { nextPageToken: page.nextPageToken }),
        ...(page.unreachable.length > 0 && { unreachable: page.unreachable }),
      };
    }
    return toJson(desc, message, { registry });
  };
  const operationJson = ({ name, done, metadata, result }: Operation): JsonObject => ({
    name,
    ...(metadata !== undefined && { metadata: anyJson(metadata) }),
    ...(done && { done }),
    ...(result.case === "response" && { response: anyJson(result.value) }),
    ...(result.case === "error" && { error: statusJson(result.value) }),
    ...(is(2) && done && { error: { code: 2 } }),
  });
  const statusJson = ({ code, message, details }: Status): JsonObject => ({
    code,
    message,
    details: details.map(anyJson),
  });
  const anyJson = (any: Any): JsonObject => {
    const { typeUrl, value } = any;
    if (is(107)) return { type_url: typeUrl, value: base64Encode(value) };
    const desc = registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (desc === undefined) return { "@type": typeUrl, value: base64Encode(value) };
    const json = toJson(desc, fromBinary(desc, value), { registry });
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? { "@type": typeUrl, ...json }
      : { "@type": typeUrl, value: json };
  };

  // Protocols.

  const grpc = async (request: RawRequest, path: string, isWeb: boolean): Promise<RawResponse> => {
    const trailers = new Headers();
    const bodies: Uint8Array[] = [];
    try {
      const { method, input } = inputOf(path);
      const [frame] = framesOf(request.body ?? new Uint8Array());
      const message = fromBinary(input, frame?.data ?? new Uint8Array());
      if (is(21) && "name" in message && String(message.name).length > 4096) {
        throw new Error("the trailers are too large");
      }
      const body = await dispatch(method, message, callOf(request));
      bodies.push(frameBytes(binaryOf(body, isWeb ? "grpc-web" : "grpc")));
      trailers.set("grpc-status", "0");
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const { status } = error;
      trailers.set("grpc-status", is(87) ? "99" : String(rawCode(error)));
      trailers.set("grpc-message", encodeURIComponent(status.message));
      const shown = is(90) ? create(StatusSchema, { ...status, code: 13 }) : status;
      trailers.set("grpc-status-details-bin", base64Encode(toBinary(StatusSchema, shown)));
    }
    const headers = new Headers({
      "content-type": isWeb ? "application/grpc-web+proto" : "application/grpc",
    });
    if (!isWeb) return { status: 200, headers, trailers, body: joined(...bodies) };
    const lines = [...trailers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const body = joined(...bodies, frameBytes(utf8.encode(lines), 0x80));
    return { status: 200, headers, trailers: new Headers(), body };
  };

  const rawCode = ({ codeName }: RpcError) => codes[codeName];

  const connect = async (
    request: RawRequest,
    path: string,
    isJson: boolean,
  ): Promise<RawResponse> => {
    const headers = new Headers({
      "content-type": isJson ? "application/json" : "application/proto",
    });
    const trailers = new Headers();
    try {
      const { method, input } = inputOf(path);
      const bytes = request.body ?? new Uint8Array();
      const message = isJson
        ? fromJson(input, JSON.parse(new TextDecoder().decode(bytes)), { registry })
        : fromBinary(input, bytes);
      if (is(21) && "name" in message && String(message.name).length > 4096) {
        throw new Error("the headers are too large");
      }
      const body = await dispatch(method, message, callOf(request));
      const encoded = isJson
        ? utf8.encode(JSON.stringify(jsonOf(body)))
        : binaryOf(body, "connect");
      return { status: 200, headers, trailers, body: encoded };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const { status, codeName } = error;
      const code = codeName === "CANCELLED" ? "canceled" : codeName.toLowerCase();
      const json = {
        code: is(87) ? "odd" : code,
        message: status.message,
        details: status.details.map(({ typeUrl, value }) => ({
          type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
          value: base64Encode(value).replaceAll("=", ""),
        })),
      };
      headers.set("content-type", "application/json");
      return { status: 400, headers, trailers, body: utf8.encode(JSON.stringify(json)) };
    }
  };

  const rest = async (request: RawRequest): Promise<RawResponse> => {
    const url = new URL(request.url);
    const respond = (status: number, json: JsonValue): RawResponse => ({
      status,
      headers: new Headers({ "content-type": "application/json" }),
      trailers: new Headers(),
      body: utf8.encode(JSON.stringify(json)),
    });
    const fail = (httpStatus: number, { status, codeName }: RpcError) => {
      if (is(101) && codeName === "NOT_FOUND") return respond(500, {});
      if (is(102)) return respond(httpStatus, statusJson(status));
      const version = url.searchParams.get("$.xgafv");
      return respond(httpStatus, {
        error: {
          code: httpStatus,
          message: status.message,
          status: is(87) ? "ODD" : codeName,
          details: status.details.map(anyJson),
          ...((version === "1" || is(106)) && { errors: [{ reason: "error" }] }),
        },
      });
    };
    try {
      const { method, fields } = route(request, url);
      const { input } = inputOf(`/${Operations.typeName}/${method}`);
      const message = fromJson(input, fields, { ignoreUnknownFields: true });
      if (is(21) && "name" in message && String(message.name).length > 4096) {
        throw new Error("the headers are too large");
      }
      return respond(200, jsonOf(await dispatch(method, message, callOf(request))));
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return fail(httpStatuses[error.codeName] ?? 500, error);
    }
  };

  const route = (request: RawRequest, url: URL): { method: string; fields: JsonObject } => {
    const noPath = () => rpcError("NOT_FOUND", "NO_PATH", "there is no such path");
    let path = url.pathname;
    if (is(103)) path = path.replace(/%2f/gi, "/");
    const colon = path.lastIndexOf(":");
    let verb = colon > path.lastIndexOf("/") ? path.slice(colon + 1) : "";
    let resource = verb === "" ? path : path.slice(0, colon);
    if (is(99)) {
      if (verb === "cancel") throw noPath();
      if (resource.endsWith("/cancel")) {
        verb = "cancel";
        resource = resource.slice(0, -"/cancel".length);
      }
    }
    const segments = resource.split("/").slice(1);
    const [version, ...names] = segments;
    if (version !== "v1") throw noPath();
    const decoded = names.map((segment) =>
      segment
        .split(/(%2f)/gi)
        .map((part) => (/^%2f$/i.test(part) ? part : decodeURIComponent(part)))
        .join(""),
    );
    const name = decoded.join("/");
    const isOne = names.length === 4 && (decoded[2] === "operations" || is(22));
    const isList = names.length === 3 && decoded[2] === "operations";
    const { method } = request;
    if (is(104) && method === "GET" && isOne) return { method: "GetOperation", fields: { name } };
    const text = new TextDecoder().decode(request.body ?? new Uint8Array());
    const body: JsonObject = text === "" ? {} : JSON.parse(text);
    if (method === "GET" && verb === "" && isOne)
      return { method: "GetOperation", fields: { name } };
    if (method === "GET" && verb === "" && isList) {
      const query: Record<string, string> = {};
      for (const [key, value] of url.searchParams) {
        if (is(100) && /[A-Z]/.test(key)) continue;
        query[key] = value;
      }
      const parent = decoded.slice(0, 2).join("/");
      const pageSize = Number(query.pageSize ?? query.page_size ?? 0);
      const { filter = "", returnPartialSuccess } = query;
      const fields: JsonObject = {
        name: parent,
        pageSize,
        filter,
        pageToken: query.pageToken ?? query.page_token ?? "",
        returnPartialSuccess: returnPartialSuccess === "true",
      };
      return { method: "ListOperations", fields };
    }
    if (method === "DELETE" && verb === "" && isOne)
      return { method: "DeleteOperation", fields: { name } };
    if (method === "POST" && verb === "cancel" && isOne) {
      if (is(110) && text === "")
        throw rpcError("INVALID_ARGUMENT", "NO_BODY", "the body is missing");
      const chosen = is(105) && typeof body.name === "string" ? body.name : name;
      return { method: "CancelOperation", fields: { name: chosen } };
    }
    if (method === "POST" && verb === "wait" && isOne) {
      return { method: "WaitOperation", fields: { ...body, name } };
    }
    throw noPath();
  };

  const handle = async (request: RawRequest): Promise<RawResponse> => {
    const { pathname } = new URL(request.url);
    const type = new Headers(
      request.headers.map(([name, value]): [string, string] => [name, value]),
    ).get("content-type");
    if (type === "application/grpc+proto") return grpc(request, pathname, false);
    if (type === "application/grpc-web+proto") return grpc(request, pathname, true);
    if (pathname.startsWith("/v1/")) return rest(request);
    return connect(request, pathname, type === "application/json");
  };

  return {
    model,
    /** Answers a request of any protocol; rejects when the request's signal aborts. */
    exchange: (request: RawRequest): Promise<RawResponse> =>
      new Promise((resolve, reject) => {
        const onAbort = () => reject(request.signal.reason);
        if (request.signal.aborted) onAbort();
        request.signal.addEventListener("abort", onAbort, { once: true });
        model
          .counted(() => handle(request))
          .then(resolve, reject)
          .finally(() => request.signal.removeEventListener("abort", onAbort));
      }),
    close: () => model.close(),
  };
}

export type TestServer = ReturnType<typeof createTestServer>;

const httpStatuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  CANCELLED: 499,
  UNIMPLEMENTED: 501,
  DEADLINE_EXCEEDED: 504,
};

function isOperation(message: Message): message is Operation {
  return message.$typeName === OperationSchema.typeName;
}

/** A message as its type, which the caller knows by the method. */
function as<Desc extends DescMessage>(desc: Desc, message: Message): MessageShape<Desc> {
  if (message.$typeName !== desc.typeName) throw new Error(`not a ${desc.typeName}`);
  // The name is the type's.
  return message as MessageShape<Desc>;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
