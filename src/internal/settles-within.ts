import type { Clock } from "./clock.js";
import { sleep } from "./sleep.js";

/** Whether a promise settles within this time, in milliseconds; rejects if the promise does. */
export async function settlesWithin(
  promise: Promise<void>,
  clock: Clock,
  delayMs: number,
): Promise<boolean> {
  const timeUp = new AbortController();
  const settled = promise.then(() => true);
  const late = sleep(clock, delayMs, timeUp.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    timeUp.abort();
  }
}
