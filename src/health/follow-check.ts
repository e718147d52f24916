import type { Clock } from "../internal/clock.js";
import { settlesWithin } from "../internal/settles-within.js";

/**
 * Calls a check at regular intervals. The check counts as passed until its first failure.
 *
 * @param intervalMs The time between two calls, and the longest time of one, in milliseconds.
 * @param changed Called with each change: false after a call that rejected or took too long.
 * @returns Stops the calls; `changed` is not called again.
 */
export function followCheck(
  check: () => Promise<unknown>,
  intervalMs: number,
  clock: Clock,
  changed: (isPassed: boolean) => void,
): () => void {
  let isStopped = false;
  let hadPassed = true;
  let cancel = () => {};
  const next = () => {
    cancel = clock.schedule(intervalMs, () => void call(), { background: true });
  };
  const call = async () => {
    const isPassed = await passes(check, intervalMs, clock);
    if (isStopped) return;
    next();
    if (isPassed === hadPassed) return;
    hadPassed = isPassed;
    changed(isPassed);
  };
  next();
  return () => {
    isStopped = true;
    cancel();
  };
}

async function passes(
  check: () => Promise<unknown>,
  limitMs: number,
  clock: Clock,
): Promise<boolean> {
  let hasPassed = false;
  // A check that throws counts as failed.
  const called = new Promise((resolve) => resolve(check())).then(
    () => {
      hasPassed = true;
    },
    () => undefined,
  );
  await settlesWithin(called, clock, limitMs);
  return hasPassed;
}
