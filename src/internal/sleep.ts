import type { Clock } from "./clock.js";
import { untilAborted } from "./until-aborted.js";

/**
 * Resolves after `delayMs` milliseconds of `clock`. Leaves no timer and no listener behind.
 *
 * @throws ConnectError CANCELLED as soon as `signal` aborts, with the signal's reason as its cause.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return untilAborted(signal, (resolve) => clock.schedule(delayMs, resolve));
}
