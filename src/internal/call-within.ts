import { Code, ConnectError } from "@connectrpc/connect";
import { canceledBy } from "./canceled-by.js";
import type { Clock } from "./clock.js";

/**
 * Makes a call and settles at the latest after `timeoutMs` milliseconds of `clock`, or as
 * soon as `signal` aborts. In both cases the call's own signal aborts, and its later
 * result is ignored.
 *
 * @throws ConnectError of the call; `Code.DeadlineExceeded` at the timeout;
 *   `Code.Canceled` with the signal's reason as its cause.
 */
export function callWithin<T>(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(canceledBy(signal));
      return;
    }
    const controller = new AbortController();
    const giveUp = (error: ConnectError) => {
      cleanUp();
      reject(error);
      controller.abort(error);
    };
    const onAbort = () => giveUp(canceledBy(signal));
    const unschedule = clock.schedule(timeoutMs, () =>
      giveUp(new ConnectError(`no answer within ${timeoutMs} ms`, Code.DeadlineExceeded)),
    );
    const cleanUp = () => {
      unschedule();
      signal.removeEventListener("abort", onAbort);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // Async, so that it rejects also where the call throws before it returns.
    const begin = async () => call(controller.signal);
    begin().then(
      (value) => {
        cleanUp();
        resolve(value);
      },
      (error: unknown) => {
        cleanUp();
        reject(ConnectError.from(error));
      },
    );
  });
}
