import { Code } from "@connectrpc/connect";

/**
 * HTTP status of each code, as google/rpc/code.proto has it. Made by a call that is
 * marked as pure, because bundlers keep a literal with computed keys, used or not.
 */
const httpStatusByCode: Readonly<Record<Code, number>> = /* @__PURE__ */ (() => ({
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
}))();

/** The HTTP status that google/rpc/code.proto gives a code. */
export function httpStatusFromCode(code: Code): number {
  return httpStatusByCode[code];
}

/** The codes that an HTTP status alone tells, where no body names a better one. */
const codeByHttpStatus: ReadonlyMap<number, Code> = new Map([
  [400, Code.InvalidArgument],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.NotFound],
  [408, Code.Unavailable],
  [409, Code.Aborted],
  [416, Code.OutOfRange],
  [421, Code.Unavailable],
  [425, Code.Unavailable],
  [429, Code.ResourceExhausted],
  [499, Code.Canceled],
  [500, Code.Internal],
  [501, Code.Unimplemented],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [504, Code.DeadlineExceeded],
]);

/**
 * The code for an HTTP status that came without a google.rpc.Status.
 *
 * Several codes share a status, so this is not the inverse of
 * `httpStatusFromCode`: 400 is INVALID_ARGUMENT, 409 ABORTED, 500 INTERNAL.
 * Another 4xx is FAILED_PRECONDITION, another 5xx INTERNAL, all else (redirects
 * that nobody followed) UNKNOWN; undefined for 2xx, which is no error.
 */
export function codeFromHttpStatus(status: number): Code | undefined {
  if (status >= 200 && status < 300) return undefined;
  const code = codeByHttpStatus.get(status);
  if (code !== undefined) return code;
  if (status >= 400 && status < 500) return Code.FailedPrecondition;
  if (status >= 500 && status < 600) return Code.Internal;
  return Code.Unknown;
}
