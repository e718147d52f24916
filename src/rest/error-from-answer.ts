import { create, type DescMessage } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { type ExactJson, type ExactJsonObject, parseJson } from "../json/parse-json.js";
import { OperationSchema, StatusSchema } from "../protos.js";
import { codeFromName, codeFromNumber } from "../status/code.js";
import { codeFromHttpStatus } from "../status/http-status.js";
import { errorFromStatus } from "../status/status-error.js";

/**
 * Returns the error of an HTTP response, with the response's headers as metadata. The code is that of
 * the body, by name or by number, or else that of the HTTP status. A path or an HTTP method that the
 * server does not have is UNIMPLEMENTED; NOT_FOUND is about a resource.
 */
export function errorFromAnswer(
  httpStatus: number,
  header: Headers,
  body: Uint8Array,
  json: MessageJson,
): ConnectError {
  const error = errorFromBody(httpStatus, body, json) ?? errorFromHttp(httpStatus);
  header.forEach((value, name) => {
    error.metadata.set(name, value);
  });
  return error;
}

function errorFromBody(
  httpStatus: number,
  body: Uint8Array,
  json: MessageJson,
): ConnectError | undefined {
  const fault = envelopeOf(body);
  if (fault === undefined) return undefined;
  const { status, message, details } = fault;
  const named = typeof status === "string" ? codeFromName(status) : undefined;
  // The numbers of google.rpc.Code end at 16. Larger numbers are HTTP statuses, which proxies do
  // not convert.
  const number = Number(fault.code);
  const code =
    named ??
    codeFromNumber(number) ??
    codeFromHttpStatus(httpStatus) ??
    (number >= 300 ? codeFromHttpStatus(number) : undefined) ??
    Code.Unknown;
  const read = create(StatusSchema, {
    code,
    message: typeof message === "string" ? message : "",
    details: Array.isArray(details) ? details.flatMap((detail) => detailOf(detail, json)) : [],
  });
  return errorFromStatus(read);
}

/** The error in a body that is JSON. */
function envelopeOf(body: Uint8Array) {
  try {
    return errorMember(parseJson(body));
  } catch {
    return undefined;
  }
}

/**
 * Returns the object in a response's JSON that describes an error, undefined if it has no such object:
 * `error`, also in a list of one, or a google.rpc.Status without an envelope, by which grpc-gateway
 * responds.
 */
function errorMember(json: ExactJson): ExactJsonObject | undefined {
  const envelope = Array.isArray(json) ? json[0] : json;
  if (!isJsonObject(envelope)) return undefined;
  if (isJsonObject(envelope.error)) return envelope.error;
  const isStatus = envelope.code !== undefined && typeof envelope.message === "string";
  return isStatus ? envelope : undefined;
}

/**
 * Returns the error that a response describes although its HTTP status is a success: its JSON has an
 * error, and no other field of the expected message.
 */
export function errorInSuccess(
  json: ExactJson,
  output: DescMessage,
  header: Headers,
  body: Uint8Array,
  messageJson: MessageJson,
): ConnectError | undefined {
  if (errorMember(json) === undefined) return undefined;
  const names = new Set(output.fields.flatMap((field) => [field.name, field.jsonName]));
  // A running operation has no error.
  if (output.typeName === OperationSchema.typeName) names.delete("error");
  const envelope = Array.isArray(json) ? json[0] : json;
  const isMessage = Object.keys(envelope ?? {}).some((name) => names.has(name));
  return isMessage ? undefined : errorFromAnswer(200, header, body, messageJson);
}

/** Leaves out a detail that cannot be read: it must not hide the error. */
function detailOf(detail: ExactJson, json: MessageJson): Any[] {
  try {
    return [json.read(AnySchema, detail)];
  } catch {
    return [];
  }
}

function errorFromHttp(httpStatus: number): ConnectError {
  const isMissing = httpStatus === 404 || httpStatus === 405;
  const code = isMissing ? Code.Unimplemented : codeFromHttpStatus(httpStatus);
  return new ConnectError(`HTTP ${httpStatus}`, code ?? Code.Unknown);
}
