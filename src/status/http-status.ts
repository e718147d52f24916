import { Code } from "@connectrpc/connect";

/**
 * The HTTP status of each code in google/rpc/code.proto. Made by a call that is marked as pure,
 * because bundlers keep an unused literal with computed keys.
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

/** Returns the HTTP status of a code in google/rpc/code.proto. */
export function httpStatusFromCode(code: Code): number {
  return httpStatusByCode[code];
}

/** The codes of HTTP statuses, for responses without a google.rpc.Status. */
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
 * Returns the code for an HTTP status of a response without a google.rpc.Status. Several codes share a
 * status, so it is not the inverse of `httpStatusFromCode`: 400 is INVALID_ARGUMENT, 409 ABORTED and
 * 500 INTERNAL. 408, 421 and 425, which say that the request was not processed, are UNAVAILABLE.
 *
 * Another 4xx is FAILED_PRECONDITION, another 5xx INTERNAL, any other status UNKNOWN. Returns undefined
 * for 2xx.
 */
export function codeFromHttpStatus(status: number): Code | undefined {
  if (status >= 200 && status < 300) return undefined;
  const code = codeByHttpStatus.get(status);
  if (code !== undefined) return code;
  if (status >= 400 && status < 500) return Code.FailedPrecondition;
  if (status >= 500 && status < 600) return Code.Internal;
  return Code.Unknown;
}
