import { canceledBy } from "./canceled-by.js";
import type { Clock } from "./clock.js";
import { onAbort } from "./on-abort.js";

/**
 * Resolves after `delayMs` milliseconds of `clock`. Leaves no timer and no listener behind.
 *
 * @throws ConnectError CANCELLED as soon as `signal` aborts, with the signal's reason as its cause.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // The event does not fire again for a signal that is already aborted.
    if (signal?.aborted) {
      reject(canceledBy(signal));
      return;
    }
    const unschedule = clock.schedule(delayMs, () => {
      forget?.();
      resolve();
    });
    const forget =
      signal &&
      onAbort(signal, () => {
        unschedule();
        reject(canceledBy(signal));
      });
  });
}
