/** The least that a wait holds: a promise, a timer, and a listener on its own AbortSignal. */
import { type PendingWaits, runWaits } from "../child-side.js";

runWaits(async ({ waits, operations }) => {
  const wakers: (() => void)[][] = Array.from({ length: operations }, () => []);
  const wait = (wake: (() => void)[] | undefined) =>
    new Promise<void>((resolve, reject) => {
      const { signal } = new AbortController();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(resolve, 40_000);
      signal.addEventListener("abort", onAbort, { once: true });
      wake?.push(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });
  return async (): Promise<PendingWaits> => {
    const all = Array.from({ length: waits }, (_, index) => wait(wakers[index % operations]));
    return {
      end() {
        for (const wake of wakers.flat()) wake();
        return Promise.all(all);
      },
    };
  };
});
