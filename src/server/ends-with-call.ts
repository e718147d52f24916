import type { HandlerContext } from "@connectrpc/connect";
import { canceledBy } from "../internal/canceled-by.js";
import { onAbort } from "../internal/on-abort.js";

/**
 * Returns a function that rejects as soon as the call's signal aborts, for example at its deadline.
 * The original function continues, but its outcome is dropped. A statement may wait for a locked
 * table much longer than the caller waits.
 */
export function endsWithCall<Request, Answer>(
  answer: (request: Request, context: HandlerContext) => Promise<Answer>,
): (request: Request, context: HandlerContext) => Promise<Answer> {
  return (request, context) => {
    const { signal } = context;
    if (signal.aborted) return Promise.reject(canceledBy(signal));
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, () => reject(canceledBy(signal)));
      answer(request, context).then(resolve, reject).finally(stopListening);
    });
  };
}
