import { Code, type ConnectError } from "@connectrpc/connect";
import { errorWithInfo } from "../status/error-info.js";

/** Returns PERMISSION_DENIED for a change through a read-only console. */
export function consoleReadOnly(method: string): ConnectError {
  return errorWithInfo(
    Code.PermissionDenied,
    `this console is read-only: ${method} is refused; call the server itself, or create the console without readOnly`,
    { reason: "CONSOLE_READ_ONLY", metadata: { method } },
  );
}

/**
 * Returns PERMISSION_DENIED for a request to the console of `longrunning console` without its
 * token.
 */
export function consoleTokenRequired(): ConnectError {
  return errorWithInfo(
    Code.PermissionDenied,
    "the request has no valid console token: open the link that `longrunning console` printed",
    { reason: "CONSOLE_TOKEN_REQUIRED" },
  );
}

/** Returns UNIMPLEMENTED for a method of Operations that the server behind the console lacks. */
export function methodNotServed(method: string): ConnectError {
  return errorWithInfo(Code.Unimplemented, `the server does not have ${method}`, {
    reason: "METHOD_NOT_SERVED",
    metadata: { method },
  });
}

/** Returns PERMISSION_DENIED for a request that a page of another origin sent. */
export function otherOrigin(): ConnectError {
  return errorWithInfo(Code.PermissionDenied, "a page of another origin may not call the console", {
    reason: "CONSOLE_OTHER_ORIGIN",
  });
}
