import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { isJsonObject } from "../../json/message-json.js";
import { codeFromName } from "../../status/code.js";
import { type Caller, MalformedResponse, type Sent, type WireStatus } from "./answer.js";
import type { RawExchange, RawResponse } from "./raw-exchange.js";
import { type RawCall, sendRaw } from "./send-raw.js";
import { parseBody, type TolerantJson } from "./tolerant-json.js";

/** The five methods by the names that a subject's `rest` uses. */
export const restMethods = {
  GetOperation: "get",
  ListOperations: "list",
  CancelOperation: "cancel",
  DeleteOperation: "delete",
  WaitOperation: "wait",
} as const;

/** HTTP method and path template of each method, such as `GET /v1/{name}`. */
export interface RestBindings {
  readonly get: string;
  readonly list?: string | undefined;
  readonly cancel?: string | undefined;
  readonly delete?: string | undefined;
  readonly wait?: string | undefined;
}

/** An HTTP request for a call over REST. */
export interface RestTarget {
  readonly httpMethod: string;
  /** Path and query. */
  readonly path: string;
  readonly body: JsonObject | undefined;
}

/**
 * Returns the request for a binding: `{name}` and `{parent}` become path segments, the other
 * fields go into the query, or into the body of a POST.
 */
export function restTargetOf(binding: string, request: JsonObject): RestTarget {
  const [httpMethod = "GET", template = "/"] = binding.split(" ");
  const { name = "", ...rest } = request;
  const text = String(name);
  const parent = text.replace(/\/?operations$/, "");
  const path = template
    .replace("{name}", () => escapePath(text))
    .replace("{parent}", () => escapePath(parent))
    .replace(/\/{2,}/g, "/");
  if (httpMethod === "POST") return { httpMethod, path, body: rest };
  const query = new URLSearchParams(
    Object.entries(rest).map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
  return { httpMethod, path: query === "" ? path : `${path}?${query}`, body: undefined };
}

function escapePath(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** Returns a caller for REST by the subject's bindings. */
export function createRestCaller(
  baseUrl: string,
  bindings: RestBindings,
  exchange: RawExchange,
  json: TolerantJson,
): Caller {
  return {
    protocol: "rest",
    send(call) {
      const key = Object.entries(restMethods).find(([method]) => method === call.method)?.[1];
      const binding = key === undefined ? undefined : bindings[key];
      if (binding === undefined) return undefined;
      const written = json.write(call.input, call.request);
      const target = restTargetOf(binding, isJsonObject(written) ? written : {});
      return (async () => {
        const { sent, response } = await sendRest(baseUrl, target, exchange, call);
        const status = restStatusOf(response, json);
        if (status !== undefined) {
          return { sent, status, message: undefined, bytes: undefined, json: undefined };
        }
        const received = response.body.length === 0 ? {} : parseBody(response.body);
        if (received === undefined) throw new MalformedResponse("the body is not JSON", sent);
        try {
          const message = json.read(call.output, received);
          return { sent, status, message, bytes: undefined, json: received };
        } catch (cause) {
          const why = cause instanceof Error ? cause.message : "unknown reason";
          throw new MalformedResponse(`the body is not a ${call.output.typeName}: ${why}`, sent);
        }
      })();
    },
  };
}

/** Sends one REST request and returns it with its response. */
export function sendRest(
  baseUrl: string,
  { httpMethod, path, body }: RestTarget,
  exchange: RawExchange,
  call: RawCall,
): Promise<{ readonly sent: Sent; readonly response: RawResponse }> {
  return sendRaw(exchange, call, {
    method: httpMethod,
    url: baseUrl + path,
    headers: [
      ["accept", "application/json"],
      ...(body === undefined ? [] : ([["content-type", "application/json"]] as const)),
    ],
    deadline: (ms) => ["x-server-timeout", String(ms / 1000)],
    body: body && new TextEncoder().encode(JSON.stringify(body)),
  });
}

/** The codes that each HTTP status may stand for, by google/rpc/code.proto. */
const codesByHttpStatus: ReadonlyMap<number, readonly number[]> = new Map([
  [400, [3, 9, 11]],
  [401, [16]],
  [403, [7]],
  [404, [5]],
  [405, [12]],
  [409, [10, 6]],
  [414, [3]],
  [429, [8]],
  [431, [3]],
  [499, [1]],
  [500, [13, 2, 15]],
  [501, [12]],
  [503, [14]],
  [504, [4]],
]);

/** Returns the status of a REST response, undefined for 2xx. */
export function restStatusOf(
  { status, body }: RawResponse,
  json: TolerantJson,
): WireStatus | undefined {
  if (status >= 200 && status < 300) return undefined;
  const parsed = parseBody(body);
  const envelope = Array.isArray(parsed) ? parsed[0] : parsed;
  const error = isJsonObject(envelope) && isJsonObject(envelope.error) ? envelope.error : {};
  const named = typeof error.status === "string" ? codeFromName(error.status) : undefined;
  const isNamed = typeof error.status === "string";
  const byStatus = codesByHttpStatus.get(status) ?? [];
  return {
    codes: isNamed ? (named === undefined ? [] : [named]) : byStatus,
    raw: isNamed ? `HTTP ${status}, status ${JSON.stringify(error.status)}` : `HTTP ${status}`,
    message: typeof error.message === "string" ? error.message : "",
    details: Array.isArray(error.details) ? error.details.flatMap((one) => anyFrom(one, json)) : [],
    trailerCode: undefined,
  };
}

function anyFrom(detail: JsonValue, json: TolerantJson): Any[] {
  try {
    return [create(AnySchema, json.read(AnySchema, detail))];
  } catch {
    return [];
  }
}
