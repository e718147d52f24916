import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "./clock.js";
import { untilAborted } from "./until-aborted.js";

/**
 * Makes a call and settles at the latest after `timeoutMs` milliseconds of `clock`, or as
 * soon as `signal` aborts. In both cases the call's own signal aborts, and its later
 * result is ignored.
 *
 * @throws ConnectError of the call; `Code.DeadlineExceeded` at the timeout;
 *   `Code.Canceled` with the signal's reason as its cause.
 */
export async function callWithin<T>(
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  // The function is async so that it rejects even if the call throws before it returns a promise.
  const begin = async () => call(controller.signal);
  try {
    return await untilAborted(signal, (resolve, reject) => {
      begin().then(resolve, reject);
      return clock.schedule(timeoutMs, () =>
        reject(new ConnectError(`no answer within ${timeoutMs} ms`, Code.DeadlineExceeded)),
      );
    });
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    controller.abort(error);
    throw error;
  }
}
