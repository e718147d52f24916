import { cutOff, type Exchange, isOver } from "./exchange.js";

/**
 * The pieces of an answer, for a writer that asks for the next one when the client has
 * taken the last. A client that leaves one unread for `timeoutMs` milliseconds is cut off;
 * after the last piece the time runs until the exchange is closed. Then the source is ended.
 */
export function guardedAnswer(
  exchange: Exchange,
  pieces: AsyncIterable<Uint8Array>,
  timeoutMs: number,
): AsyncIterable<Uint8Array> {
  const { response } = exchange;
  const source = pieces[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  response.once("close", () => {
    stop();
    // A writer that waits for room would wait for ever, and the source with it.
    source.return?.().catch(() => undefined);
  });
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        stop();
        const result = await source.next();
        // A handler may end after its client has gone, and nobody stops a timer then.
        if (!isOver(exchange)) timer = setTimeout(() => cutOff(exchange), timeoutMs);
        return result;
      },
      // Passed on as they are: Connect's handlers learn by these that their answer was not taken.
      throw: async (error: unknown) => (await source.throw?.(error)) ?? done,
      return: async () => (await source.return?.()) ?? done,
    }),
  };
}

const done = { done: true, value: undefined } as const;
