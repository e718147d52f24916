import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type Status, StatusSchema } from "../../protos.js";
import { type Caller, MalformedResponse, type WireStatus } from "./answer.js";
import { frameBytes, framesOf } from "./envelopes.js";
import type { RawExchange, RawResponse } from "./raw-exchange.js";
import { sendRaw } from "./send-raw.js";

/** Flag of a frame whose message is compressed. */
const compressedFlag = 1;
/** Flag of the frame with the trailers of gRPC-Web. */
const trailerFlag = 0x80;

const utf8 = new TextDecoder();

/** Returns a caller for gRPC, or for gRPC-Web, which carries the trailers in the body. */
export function createGrpcCaller(
  protocol: "grpc" | "grpc-web",
  baseUrl: string,
  exchange: RawExchange,
): Caller {
  const isWeb = protocol === "grpc-web";
  const contentType = isWeb ? "application/grpc-web+proto" : "application/grpc+proto";
  return {
    protocol,
    async send(call) {
      const { sent, response } = await sendRaw(exchange, call, {
        method: "POST",
        url: `${baseUrl}/${call.service}/${call.method}`,
        headers: [["content-type", contentType], isWeb ? ["x-grpc-web", "1"] : ["te", "trailers"]],
        deadline: (ms) => ["grpc-timeout", `${Math.ceil(ms)}m`],
        body: frameBytes(toBinary(call.input, call.request)),
      });
      const malformed = (why: string) => new MalformedResponse(why, sent);
      if (response.status !== 200) throw malformed(`the HTTP status is ${response.status}`);
      const { messages, trailers } = readBody(response, isWeb, malformed);
      const status = statusOf(trailers, malformed);
      if (status !== undefined) {
        return { sent, status, message: undefined, bytes: undefined, json: undefined };
      }
      const [bytes, second] = messages;
      if (bytes === undefined || second !== undefined) {
        throw malformed(`the response has ${messages.length} messages instead of one`);
      }
      try {
        const message = fromBinary(call.output, bytes);
        return { sent, status, message, bytes, json: undefined };
      } catch {
        throw malformed(`the message is not a ${call.output.typeName}`);
      }
    },
  };
}

function readBody(
  response: RawResponse,
  isWeb: boolean,
  malformed: (why: string) => Error,
): { messages: Uint8Array[]; trailers: Headers } {
  const messages: Uint8Array[] = [];
  let { trailers } = response;
  if (!trailers.has("grpc-status")) trailers = response.headers;
  let frames: ReturnType<typeof framesOf>;
  try {
    frames = framesOf(response.body);
  } catch {
    throw malformed("the body ends within a frame");
  }
  for (const { flags, data } of frames) {
    if ((flags & compressedFlag) !== 0)
      throw malformed("a frame is compressed without being asked");
    if (isWeb && (flags & trailerFlag) !== 0) trailers = trailersFrom(data);
    else messages.push(data);
  }
  return { messages, trailers };
}

function trailersFrom(data: Uint8Array): Headers {
  const trailers = new Headers();
  for (const line of utf8.decode(data).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) trailers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return trailers;
}

/** Returns the status of the trailers, undefined for OK. */
function statusOf(trailers: Headers, malformed: (why: string) => Error): WireStatus | undefined {
  const raw = trailers.get("grpc-status");
  if (raw === null) throw malformed("there is no grpc-status");
  if (raw === "0") return undefined;
  const code = Number(raw);
  const details = detailsOf(trailers, malformed);
  return {
    codes: /^\d+$/.test(raw) && code >= 1 && code <= 16 ? [code] : [],
    raw: `grpc-status: ${raw}`,
    message: percentDecoded(trailers.get("grpc-message") ?? ""),
    details: details?.details ?? [],
    trailerCode: details?.code,
  };
}

function detailsOf(trailers: Headers, malformed: (why: string) => Error): Status | undefined {
  const text = trailers.get("grpc-status-details-bin");
  if (text === null) return undefined;
  try {
    return fromBinary(StatusSchema, base64Decode(text));
  } catch {
    throw malformed("grpc-status-details-bin is not a google.rpc.Status");
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
