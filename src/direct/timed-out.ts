import { Code, ConnectError } from "@connectrpc/connect";

/** DEADLINE_EXCEEDED, in the words of Connect, whose handlers and transports say the same. */
export function timedOut(): ConnectError {
  return new ConnectError("the operation timed out", Code.DeadlineExceeded);
}
