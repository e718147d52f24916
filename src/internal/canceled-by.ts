import { Code, ConnectError } from "@connectrpc/connect";
import type { CallEnd } from "./call-end.js";

/**
 * Returns the error of a wait that `signal` ended: `Code.Canceled`, as in Connect's calls. The
 * reason of the abort is its `cause`. If the reason is a ConnectError, it is returned unchanged.
 */
export function canceledBy({ reason }: Pick<CallEnd, "reason">): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("the wait was aborted", Code.Canceled, undefined, undefined, reason);
}
