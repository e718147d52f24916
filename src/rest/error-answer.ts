import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { isJsonObject, type MessageJson } from "../json/message-json.js";
import { ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "../protos.js";
import { codeName } from "../status/code.js";
import { errorDomain } from "../status/error-info.js";
import { httpStatusFromCode } from "../status/http-status.js";
import { statusFromError } from "../status/status-error.js";

/** An error as the REST gateway responds with it. */
export interface ErrorAnswer {
  readonly httpStatus: number;
  readonly json: JsonObject;
  /** The error's own metadata, and `Retry-After` if it has a RetryInfo. */
  readonly header: Headers;
}

/** Faults of HTTP's own, which no code stands for, by the reason of their ErrorInfo. */
const httpStatusByReason: Readonly<Record<string, number>> = {
  NOT_SERVED: 404,
  METHOD_NOT_ALLOWED: 405,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  UNSUPPORTED_ENCODING: 415,
};

/** The reasons of format 1 that a status does not tell. */
const oldReasonByReason: Readonly<Record<string, string>> = {
  INVALID_VALUE: "invalid",
  BODY_NOT_JSON: "parseError",
};

const oldReasonByHttpStatus: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "required",
  403: "forbidden",
  404: "notFound",
  405: "httpMethodNotAllowed",
  409: "conflict",
  413: "uploadTooLarge",
  415: "unsupportedMediaProtocol",
  429: "rateLimitExceeded",
  500: "backendError",
  501: "notImplemented",
  503: "backendError",
  504: "backendError",
};

/**
 * Returns the body, status and headers of an error: an `error` member with a google.rpc.Status,
 * whose code is the HTTP status. The name of the RPC code is a separate member (AIP-193).
 *
 * @param format 1 adds `errors`, with a domain and an older kind of reason.
 */
export function errorAnswerOf(error: ConnectError, format: 1 | 2, json: MessageJson): ErrorAnswer {
  const reason = ownReasonOf(error);
  const httpStatus = httpStatusByReason[reason] ?? httpStatusFromCode(error.code) ?? 500;
  const message = error.rawMessage;
  const details = detailsOf(error, json);
  return {
    httpStatus,
    json: {
      error: {
        code: httpStatus,
        message,
        ...(format === 1 && { errors: [oldError(message, httpStatus, reason)] }),
        status: codeName(error.code),
        ...(details.length > 0 && { details }),
      },
    },
    header: headerOf(error),
  };
}

/** The reason of an error that this package made; empty for all others. */
function ownReasonOf(error: ConnectError): string {
  const own = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === errorDomain);
  return own?.reason ?? "";
}

function oldError(message: string, httpStatus: number, reason: string): JsonObject {
  const oldReason = oldReasonByReason[reason] ?? oldReasonByHttpStatus[httpStatus] ?? "badRequest";
  if (oldReason === "invalid") return { message, reason: oldReason };
  return { message, domain: "global", reason: oldReason };
}

function detailsOf(error: ConnectError, json: MessageJson): JsonValue[] {
  const status = json.write(StatusSchema, statusFromError(error));
  const details = isJsonObject(status) ? status.details : undefined;
  return Array.isArray(details) ? details : [];
}

function headerOf(error: ConnectError): Headers {
  const header = new Headers(error.metadata);
  const [retry] = error.findDetails(RetryInfoSchema);
  if (retry?.retryDelay !== undefined && !header.has("Retry-After")) {
    const { seconds, nanos } = retry.retryDelay;
    // The delay is rounded up to whole seconds, so that the client does not retry too early.
    const whole = Number(seconds) + (nanos > 0 ? 1 : 0);
    if (whole >= 0) header.set("Retry-After", String(whole));
  }
  // RFC 9110, section 15.5.2, requires this header.
  if (error.code === Code.Unauthenticated && !header.has("WWW-Authenticate")) {
    header.set("WWW-Authenticate", "Bearer");
  }
  return header;
}
