import type { LongRunningMethod } from "../operation/long-running.js";
import { invalidToken } from "./errors.js";
import { OperationError, withoutWait } from "./operation-error.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";

/**
 * Checks a parsed token against the method that is expected to have started the operation.
 *
 * @throws OperationError INVALID_ARGUMENT, kind `invalid-token`, if the token is malformed or belongs
 *   to another method.
 */
export function readResumeToken(token: unknown, method: LongRunningMethod): ResumeToken {
  const read = typeof token === "object" && token !== null ? token : {};
  const { v, name, requestId, ...types } = read as Partial<Record<keyof ResumeToken, unknown>>;
  const shown = typeof name === "string" ? name : "";
  const fault = (why: string) =>
    new OperationError("invalid-token", invalidToken(why), withoutWait(shown));
  if (read !== token) throw fault("it is not an object");
  if (v !== 1) throw fault(`its version is ${String(v)}, expected 1`);
  // Not checked further: servers have names of other forms than AIP-122's.
  if (shown === "") throw fault("it has no name of an operation");
  const expected = createResumeToken(method, shown, undefined);
  for (const field of ["method", "response", "metadata"] as const) {
    if (types[field] !== expected[field]) {
      throw fault(`its ${field} is ${String(types[field])}, expected ${expected[field]}`);
    }
  }
  if (requestId !== undefined && typeof requestId !== "string") {
    throw fault("its requestId is not a string");
  }
  return createResumeToken(method, shown, requestId);
}
