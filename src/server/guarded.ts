import { ConnectError } from "@connectrpc/connect";
import { internalError } from "./errors.js";
import type { OperationsEvent } from "./events.js";

/**
 * What a client sees of an error: a ConnectError as it is; what a driver, a parser or a bug
 * throws becomes INTERNAL with an ErrorInfo and goes to the log hook.
 */
export function shownError(
  action: string,
  cause: unknown,
  log: (event: OperationsEvent) => void,
): ConnectError {
  if (cause instanceof ConnectError) return cause;
  log({ kind: "store-failed", action, cause });
  return internalError(cause);
}

/** A function that rejects with nothing but ConnectErrors, by `shownError`. */
export function guarded<Args extends unknown[], Result>(
  action: string,
  call: (...args: Args) => Result | Promise<Result>,
  log: (event: OperationsEvent) => void,
): (...args: Args) => Promise<Result> {
  const rethrown = (cause: unknown): never => {
    throw shownError(action, cause, log);
  };
  // No async function: its frame would be there for as long as a call waits.
  return (...args) => {
    try {
      return Promise.resolve(call(...args)).catch(rethrown);
    } catch (cause) {
      return Promise.reject(cause).catch(rethrown);
    }
  };
}
