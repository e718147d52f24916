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
  const read: Partial<Record<keyof ResumeToken, unknown>> = Object(token);
  const name = typeof read.name === "string" ? read.name : "";
  const fault = (field: keyof ResumeToken, expected = "") => {
    const error = invalidToken(`its ${field} is ${String(read[field])}${expected}`);
    return new OperationError("invalid-token", error, withoutWait(name));
  };
  const { requestId } = read;
  if (requestId !== undefined && typeof requestId !== "string") throw fault("requestId");
  const expected = createResumeToken(method, name, requestId);
  for (const field of ["v", "method", "response", "metadata"] as const) {
    if (read[field] !== expected[field]) throw fault(field, `, expected ${expected[field]}`);
  }
  // The form of the name is not checked, because servers have names of other forms than AIP-122's.
  if (name === "") throw fault("name");
  return expected;
}
