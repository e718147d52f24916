import { Code, ConnectError } from "@connectrpc/connect";
import type { CallEnd } from "./call-end.js";

/**
 * The error of a wait that `signal` ended: `Code.Canceled`, as Connect's own
 * calls end, with the reason of the abort as `cause`. A ConnectError given as
 * the reason is passed on as it is.
 */
export function canceledBy({ reason }: Pick<CallEnd, "reason">): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("the wait was aborted", Code.Canceled, undefined, undefined, reason);
}
