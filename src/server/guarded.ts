import { ConnectError } from "@connectrpc/connect";
import { internalError } from "./errors.js";
import type { OperationsEvent } from "./events.js";

/**
 * A function that rejects with nothing but ConnectErrors: what a driver, a parser or a
 * bug throws becomes INTERNAL with an ErrorInfo and goes to the log hook.
 */
export function guarded<Args extends unknown[], Result>(
  action: string,
  call: (...args: Args) => Result | Promise<Result>,
  log: (event: OperationsEvent) => void,
): (...args: Args) => Promise<Result> {
  const translated = (cause: unknown): never => {
    if (cause instanceof ConnectError) throw cause;
    log({ kind: "store-failed", action, cause });
    throw internalError(cause);
  };
  // No async function: its frame would be there for as long as a call waits.
  return (...args) => {
    try {
      return Promise.resolve(call(...args)).catch(translated);
    } catch (cause) {
      return Promise.reject(cause).catch(translated);
    }
  };
}
