import { Code } from "@connectrpc/connect";
import type { LongRunningMethod } from "../operation/long-running.js";
import { isResourceName } from "../operation/name.js";
import { errorWithInfo } from "../status/error-info.js";
import { OperationError, withoutWait } from "./operation-error.js";
import { createResumeToken, type ResumeToken } from "./resume-token.js";

/**
 * Check a token, parsed from JSON or not, against the method it should be of.
 *
 * @throws OperationError of kind `invalid-token`, `Code.InvalidArgument`.
 */
export function readResumeToken(token: unknown, method: LongRunningMethod): ResumeToken {
  if (typeof token !== "object" || token === null) throw invalidToken("it is no object", "");
  const { v, name, requestId, ...types } = token as Partial<Record<keyof ResumeToken, unknown>>;
  const shown = typeof name === "string" ? name : "";
  if (v !== 1) throw invalidToken(`its layout is ${String(v)}, and only 1 is known`, shown);
  if (typeof name !== "string" || !isResourceName(name)) {
    throw invalidToken("it has no operation's name", shown);
  }
  const expected = createResumeToken(method, name, undefined);
  for (const field of ["method", "response", "metadata"] as const) {
    if (types[field] !== expected[field]) {
      throw invalidToken(
        `its ${field} is ${String(types[field])}, where ${expected[field]} is expected`,
        shown,
      );
    }
  }
  if (requestId !== undefined && typeof requestId !== "string") {
    throw invalidToken("its request id is no string", shown);
  }
  return createResumeToken(method, name, requestId);
}

function invalidToken(why: string, operationName: string): OperationError {
  const error = errorWithInfo(Code.InvalidArgument, `this is no resume token: ${why}`, {
    reason: "INVALID_RESUME_TOKEN",
    metadata: { why },
  });
  return new OperationError("invalid-token", error, withoutWait(operationName));
}
