import { Code, ConnectError } from "@connectrpc/connect";
import { truncateForError } from "../internal/truncate-for-error.js";
import { BadRequestSchema } from "../protos.js";
import { type ErrorParts, errorWithInfo } from "../status/error-info.js";

/** Returns 400: the path or the query has a malformed escape, or escapes that are not UTF-8. */
export function malformedUrl(part: string): ConnectError {
  return errorWithInfo(
    Code.InvalidArgument,
    `"${truncateForError(part)}" is not percent-encoded UTF-8`,
    {
      reason: "MALFORMED_URL",
      metadata: { part: truncateForError(part) },
    },
  );
}

/** Returns 405: rules have this path only for other HTTP methods. `Allow` lists them. */
export function methodNotAllowed(
  method: string,
  path: string,
  allowed: readonly string[],
): ConnectError {
  const allow = allowed.join(", ");
  const error = errorWithInfo(
    Code.Unimplemented,
    `${truncateForError(method)} is not for ${truncateForError(path)}, which takes ${allow}`,
    {
      reason: "METHOD_NOT_ALLOWED",
      metadata: { method: truncateForError(method), path: truncateForError(path), allow },
    },
  );
  error.metadata.set("Allow", allow);
  return error;
}

/**
 * Returns 400: a system parameter does not have the value `expected`, which completes "parameter X
 * …".
 */
export function invalidParameter(name: string, value: string, expected: string): ConnectError {
  return badField(
    name,
    `parameter ${truncateForError(name)} ${expected}, not "${truncateForError(value)}"`,
    {
      reason: "INVALID_PARAMETER",
      metadata: { parameter: truncateForError(name), value: truncateForError(value) },
    },
  );
}

/** Returns 400: a query parameter cannot set a field. `why` is the rest of the sentence. */
export function unboundParameter(name: string, why: string): ConnectError {
  return badField(name, `parameter "${truncateForError(name)}" ${why}`, {
    reason: "UNKNOWN_PARAMETER",
    metadata: { parameter: truncateForError(name) },
  });
}

/** Returns 400 with the text of Google's servers: the field's type does not have the value. */
export function invalidValue(field: string, type: string, value: string): ConnectError {
  return badField(
    field,
    `Invalid value at '${truncateForError(field)}' (${type}), "${truncateForError(value)}"`,
    {
      reason: "INVALID_VALUE",
      metadata: { field: truncateForError(field), type, value: truncateForError(value) },
    },
  );
}

/** Returns 400: a member of a body is not a field. */
export function unknownMember(path: string, typeName: string): ConnectError {
  return badField(path, `"${truncateForError(path)}" is not a field of ${typeName}`, {
    reason: "UNKNOWN_FIELD",
    metadata: { field: truncateForError(path), type: typeName },
  });
}

/** Returns 400: one field occurs under two names. */
export function repeatedMember(path: string): ConnectError {
  return badField(path, `${truncateForError(path)} is set twice, by both of its names`, {
    reason: "REPEATED_FIELD",
    metadata: { field: truncateForError(path) },
  });
}

/** Returns 400: two members of one oneof are set. */
export function oneofConflict(path: string, oneof: string, other: string): ConnectError {
  return badField(
    path,
    `${truncateForError(path)} and ${other} are both set, and the oneof ${oneof} takes one of them`,
    { reason: "ONEOF_CONFLICT", metadata: { field: truncateForError(path), oneof, other } },
  );
}

/** Returns 400: a message lacks a field that its .proto requires. */
export function missingRequired(typeName: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `a required field of ${typeName} is missing`, {
    reason: "MISSING_FIELD",
    metadata: { type: typeName },
  });
}

/** Returns 400: the request has a body, and its rule has no body. */
export function unexpectedBody(method: string): ConnectError {
  const error = errorWithInfo(
    Code.InvalidArgument,
    `${truncateForError(method)} takes no body here`,
    {
      reason: "UNEXPECTED_BODY",
      metadata: { method: truncateForError(method) },
    },
  );
  return withoutFollower(error);
}

/** Returns 499: the body is incomplete because the client disconnected. */
export function incompleteBody(cause: unknown): ConnectError {
  return errorWithInfo(Code.Canceled, "the body is not complete", {
    reason: "INCOMPLETE_BODY",
    cause,
  });
}

/** Returns 400: the body is not JSON. `what` describes the body. */
export function bodyNotJson(what: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `the body ${what}`, {
    reason: "BODY_NOT_JSON",
    metadata: { fault: what },
  });
}

/** Returns 400: the body cannot be decompressed. */
export function brokenEncoding(encoding: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `the body is no ${encoding}`, {
    reason: "BROKEN_ENCODING",
    metadata: { encoding },
    cause,
  });
}

/** Returns 413: the received or the decompressed body is larger than the limit. */
export function bodyTooLarge(maxBytes: number): ConnectError {
  const error = errorWithInfo(
    Code.InvalidArgument,
    `the body is larger than the limit of ${maxBytes} bytes`,
    { reason: "BODY_TOO_LARGE", metadata: { maxBytes: String(maxBytes) } },
  );
  return withoutFollower(error);
}

/** Returns 415: the Content-Type is not the expected type. */
export function unsupportedMediaType(
  contentType: string,
  expected = "application/json in UTF-8",
): ConnectError {
  return errorWithInfo(
    Code.InvalidArgument,
    `the body must be ${expected}, not "${truncateForError(contentType)}"`,
    { reason: "UNSUPPORTED_MEDIA_TYPE", metadata: { contentType: truncateForError(contentType) } },
  );
}

/** Returns 400: a batch is malformed. `expected` completes "a batch …". */
export function malformedBatch(expected: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `a batch ${expected}`, {
    reason: "MALFORMED_BATCH",
    metadata: { fault: expected },
  });
}

/**
 * Returns 400: a batch contains a request that batches do not allow. `problem` completes "a request
 * in a batch …".
 */
export function notBatchable(problem: string): ConnectError {
  return errorWithInfo(Code.InvalidArgument, `a request in a batch ${problem}`, {
    reason: "NOT_BATCHABLE",
    metadata: { fault: problem },
  });
}

/** Returns 429: the earlier responses have filled the batch's response. */
export function batchFull(maxBytes: number): ConnectError {
  return errorWithInfo(
    Code.ResourceExhausted,
    `the responses of the batch have more than ${maxBytes} bytes; send the rest in another one`,
    { reason: "BATCH_FULL", metadata: { maxBytes: String(maxBytes) } },
  );
}

/** Returns 415: this package cannot decode the Content-Encoding. */
export function unsupportedEncoding(encoding: string, known: readonly string[]): ConnectError {
  const accepted = known.join(", ");
  const error = errorWithInfo(
    Code.InvalidArgument,
    `the body may be encoded as ${accepted || "identity"}, not "${truncateForError(encoding)}"`,
    {
      reason: "UNSUPPORTED_ENCODING",
      metadata: { encoding: truncateForError(encoding), accepted },
    },
  );
  // RFC 9110, section 15.5.16, describes this header.
  error.metadata.set("Accept-Encoding", accepted || "identity");
  return error;
}

/** Returns 400: a header's value is malformed. `expected` describes a valid value. */
export function invalidHeader(name: string, value: string, expected: string): ConnectError {
  return errorWithInfo(
    Code.InvalidArgument,
    `header ${name} must be ${expected}, not "${truncateForError(value)}"`,
    { reason: "INVALID_HEADER", metadata: { header: name, value: truncateForError(value) } },
  );
}

/** Returns 404: no rule has this version, so the discovery document does not exist. */
export function noSuchVersion(version: string, versions: readonly string[]): ConnectError {
  const known = versions.join(", ");
  return errorWithInfo(
    Code.NotFound,
    `there is no version "${truncateForError(version)}"; there are: ${known}`,
    {
      reason: "NO_SUCH_VERSION",
      metadata: { version: truncateForError(version), versions: known },
    },
  );
}

/** Returns 500: the call succeeded, but its response cannot be written as JSON. */
export function unwritableAnswer(typeName: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `the ${typeName} cannot be written as JSON`, {
    reason: "UNWRITABLE_ANSWER",
    metadata: { type: typeName },
    cause,
  });
}

/** Returns 500 for every other error of the gateway. */
export function internalFault(cause: unknown): ConnectError {
  if (cause instanceof ConnectError) return cause;
  return errorWithInfo(Code.Internal, "internal error", { reason: "INTERNAL", cause });
}

/** Closes the connection: the rest of the body is not read, so no request can follow it. */
function withoutFollower(error: ConnectError): ConnectError {
  error.metadata.set("Connection", "close");
  return error;
}

function badField(field: string, description: string, parts: ErrorParts): ConnectError {
  const { reason } = parts;
  const violation = { field: truncateForError(field), description, reason };
  return errorWithInfo(Code.InvalidArgument, description, {
    ...parts,
    details: [{ desc: BadRequestSchema, value: { fieldViolations: [violation] } }],
  });
}

/** Returns the error for a client's message whose fields do not fit the method's path. */
export function noMatchingPath(field: string, value: string, template: string): ConnectError {
  return badField(field, `${field} "${truncateForError(value)}" does not fit ${template}`, {
    reason: "NO_MATCHING_PATH",
    metadata: { field, value: truncateForError(value), template },
  });
}

/** Returns the error for a client's value that cannot be written in this part of a request. */
export function unsendableField(field: string, part: string): ConnectError {
  return badField(field, `${truncateForError(field)} cannot be sent in ${part}`, {
    reason: "UNSENDABLE_FIELD",
    metadata: { field: truncateForError(field), part },
  });
}

/** Returns the error for a client's call of a method that has no HTTP rule, or that streams. */
export function noHttpRule(method: string, why: string): ConnectError {
  return errorWithInfo(Code.Unimplemented, `${method} cannot be called over REST: ${why}`, {
    reason: "NO_HTTP_RULE",
    metadata: { method },
  });
}

/** Returns the error for a client whose connection failed or was lost. */
export function unreachable(baseUrl: string, cause: unknown): ConnectError {
  return errorWithInfo(Code.Unavailable, `${baseUrl} cannot be reached`, {
    reason: "UNREACHABLE",
    metadata: { baseUrl },
    cause,
  });
}

/**
 * Returns the error for a redirect, which the client does not follow because it could send
 * credentials elsewhere.
 */
export function redirected(baseUrl: string, location: string): ConnectError {
  const target = location === "" ? "elsewhere" : `to ${truncateForError(location)}`;
  return errorWithInfo(Code.Unknown, `${baseUrl} redirects ${target}; set baseUrl to the server`, {
    reason: "REDIRECTED",
    metadata: { baseUrl, location: truncateForError(location) },
  });
}

/** Returns the error for a successful response that the client cannot read. */
export function unreadableAnswer(typeName: string, what: string, cause?: unknown): ConnectError {
  return errorWithInfo(Code.Internal, `the server's answer ${what}, not a ${typeName}`, {
    reason: "UNREADABLE_ANSWER",
    metadata: { type: typeName, fault: what },
    cause,
  });
}

/** Returns RESOURCE_EXHAUSTED of the client: the response is larger than its limit. */
export function answerTooLarge(maxBytes: number): ConnectError {
  return errorWithInfo(
    Code.ResourceExhausted,
    `the server's response is larger than readMaxBytes, ${maxBytes} bytes`,
    { reason: "ANSWER_TOO_LARGE", metadata: { maxBytes: String(maxBytes) } },
  );
}
