import { canceledBy } from "./canceled-by.js";
import { onAbort } from "./on-abort.js";

/**
 * Makes a promise that rejects as soon as `signal` aborts.
 *
 * @param begin Begins what the promise waits for, unless the signal has already aborted. Returns a
 *   function that is called when the promise settles, to undo what `begin` did, and perhaps again
 *   later.
 * @throws ConnectError CANCELLED, with the signal's reason as its cause.
 */
export function untilAborted<T>(
  signal: AbortSignal | undefined,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    // The event does not fire again for a signal that is already aborted.
    if (signal?.aborted) {
      reject(canceledBy(signal));
      return;
    }
    const end =
      <V>(settle: (value: V) => void) =>
      (value: V) => {
        undo();
        forget?.();
        settle(value);
      };
    const undo = begin(end(resolve), end(reject));
    const forget = signal && onAbort(signal, () => end(reject)(canceledBy(signal)));
  });
}
