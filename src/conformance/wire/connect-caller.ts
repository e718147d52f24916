import { create, fromBinary, type JsonValue, type Message, toBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { typeUrlPrefix } from "../../internal/type-url.js";
import { isJsonObject } from "../../json/message-json.js";
import { codeFromName } from "../../status/code.js";
import { type Caller, MalformedResponse, type WireStatus } from "./answer.js";
import type { RawExchange } from "./raw-exchange.js";
import { sendRaw } from "./send-raw.js";
import { parseBody, type TolerantJson } from "./tolerant-json.js";

/** Returns a caller for the Connect protocol, with messages in binary or in JSON. */
export function createConnectCaller(
  protocol: "connect" | "connect-json",
  baseUrl: string,
  exchange: RawExchange,
  json: TolerantJson,
): Caller {
  const isJson = protocol === "connect-json";
  const contentType = isJson ? "application/json" : "application/proto";
  return {
    protocol,
    async send(call) {
      const body = isJson
        ? new TextEncoder().encode(JSON.stringify(json.write(call.input, call.request)))
        : toBinary(call.input, call.request);
      const { sent, response } = await sendRaw(exchange, call, {
        method: "POST",
        url: `${baseUrl}/${call.service}/${call.method}`,
        headers: [
          ["content-type", contentType],
          ["connect-protocol-version", "1"],
        ],
        deadline: (ms) => ["connect-timeout-ms", String(Math.ceil(ms))],
        body,
      });
      if (response.status !== 200) {
        const status = statusFrom(response.status, parseBody(response.body));
        if (status === undefined) {
          throw new MalformedResponse(
            `HTTP status ${response.status} without an error of the Connect protocol`,
            sent,
          );
        }
        return { sent, status, message: undefined, bytes: undefined, json: undefined };
      }
      let message: Message;
      let received: JsonValue | undefined;
      try {
        if (isJson) {
          received = parseBody(response.body);
          if (received === undefined) throw new Error("the body is not JSON");
          message = json.read(call.output, received);
        } else {
          message = fromBinary(call.output, response.body);
        }
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : "unknown reason";
        throw new MalformedResponse(`the message is not a ${call.output.typeName}: ${why}`, sent);
      }
      const bytes = isJson ? undefined : response.body;
      return { sent, status: undefined, message, bytes, json: received };
    },
  };
}

function statusFrom(httpStatus: number, body: JsonValue | undefined): WireStatus | undefined {
  if (!isJsonObject(body) || typeof body.code !== "string") return undefined;
  // Connect spells codes in lower case and CANCELLED with one L.
  const name = body.code === "canceled" ? "CANCELLED" : body.code.toUpperCase();
  const code = body.code === name ? undefined : codeFromName(name);
  return {
    codes: code === undefined ? [] : [code],
    raw: `HTTP ${httpStatus}, code ${JSON.stringify(body.code)}`,
    message: typeof body.message === "string" ? body.message : "",
    details: Array.isArray(body.details) ? body.details.flatMap(detailFrom) : [],
    trailerCode: undefined,
  };
}

function detailFrom(detail: JsonValue): Any[] {
  if (!isJsonObject(detail)) return [];
  const { type, value } = detail;
  if (typeof type !== "string" || typeof value !== "string") return [];
  try {
    return [create(AnySchema, { typeUrl: typeUrlPrefix + type, value: base64Decode(value) })];
  } catch {
    return [];
  }
}
