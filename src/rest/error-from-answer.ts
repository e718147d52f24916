import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { type ExactJson, parseJson } from "../json/parse-json.js";
import { ErrorInfoSchema, StatusSchema } from "../protos.js";
import { codeFromName } from "../status/code.js";
import { errorDomain } from "../status/error-info.js";
import { codeFromHttpStatus } from "../status/http-status.js";
import { errorFromStatus } from "../status/status-error.js";
import { noSuchPathReason } from "./errors.js";

/**
 * The error that an HTTP answer stands for, with its headers as metadata: by the name of its status
 * in either format of the body, by its HTTP status otherwise. A path or an HTTP method that
 * the server does not have is UNIMPLEMENTED; NOT_FOUND is about a resource.
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
  const code = named ?? codeFromHttpStatus(httpStatus) ?? Code.Unknown;
  const read = create(StatusSchema, {
    code,
    message: typeof message === "string" ? message : "",
    details: Array.isArray(details) ? details.flatMap((detail) => detailOf(detail, json)) : [],
  });
  if (isAboutPath(errorFromStatus(read))) read.code = Code.Unimplemented;
  return errorFromStatus(read);
}

function isAboutPath(error: ConnectError): boolean {
  return error
    .findDetails(ErrorInfoSchema)
    .some(({ domain, reason }) => domain === errorDomain && reason === noSuchPathReason);
}

/** The `error` of a body; some servers send a list with one such object. */
function envelopeOf(body: Uint8Array) {
  let json: ExactJson;
  try {
    json = parseJson(body);
  } catch {
    return undefined;
  }
  const envelope = Array.isArray(json) ? json[0] : json;
  const error = isJsonObject(envelope) ? envelope.error : undefined;
  return isJsonObject(error) ? error : undefined;
}

/** A detail that cannot be read must not hide the error. */
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
