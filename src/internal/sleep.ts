import { canceledBy } from "./canceled-by.js";
import type { Clock } from "./clock.js";

/**
 * Resolve after `delayMs` milliseconds of `clock`, leaving no timer and no
 * listener behind.
 *
 * @throws ConnectError `Code.Canceled` with the signal's reason as its cause, as
 *   soon as `signal` aborts.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // The event does not fire again for a signal that is already aborted.
    if (signal?.aborted) {
      reject(canceledBy(signal));
      return;
    }
    const onAbort = () => {
      unschedule();
      if (signal) reject(canceledBy(signal));
    };
    const unschedule = clock.schedule(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
